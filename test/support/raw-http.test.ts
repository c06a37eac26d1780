/**
 * The raw client must be able to fail: each way a response can be wrong is shown to it here, by a bare
 * TCP server that sends bytes by hand.
 */
import { createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { chunkBytes, RawConnection, requestBytes } from './raw-http.js'
import { waitFor, within } from './wait-for.js'

/** A connection to a server that answers every connection with these bytes and then does `finish`. */
async function answered(
  t: Test,
  bytes: string,
  finish: (socket: Socket) => void = socket => socket.end(),
): Promise<RawConnection> {
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => socket.write(Buffer.from(bytes, 'latin1'), () => finish(socket)))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const connection = await RawConnection.open(t, `http://127.0.0.1:${address.port}`)
  connection.request('/')
  return connection
}

t.test('a body of a declared length, twice on one connection', async t => {
  const one = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nX-A: \xe9\r\n\r\nhello'
  const connection = await answered(t, one + one)
  for (const _ of [1, 2]) {
    const response = await connection.response()
    t.equal(response.status, 200)
    t.equal(response.reason, 'OK')
    t.strictSame(response.all('x-a'), ['1', '\xe9'])
    t.equal(response.text(), 'hello')
    t.equal(response.truncated, false)
  }
  await t.rejects(connection.response(), /ended without a response/)
})

t.test('a chunked body, with interim responses before it', async t => {
  const connection = await answered(
    t,
    'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' +
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  )
  const response = await connection.response()
  t.equal(response.interim[0]?.header('link'), '</a>')
  t.equal(response.text(), 'hello')
  t.equal(response.framing, 'chunked')
  t.equal(response.truncated, false)
})

t.test('bodies that break off are told apart from whole ones', async t => {
  const cases: readonly (readonly [string, string])[] = [
    ['a length not reached', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello'],
    ['no last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
    ['half a last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n'],
  ]
  for (const [name, bytes] of cases) {
    const connection = await answered(t, bytes)
    t.equal((await connection.response()).truncated, true, name)
  }
  // The reset waits for the client's word: libuv takes one that comes together with data for an end.
  const reset = await answered(t, 'HTTP/1.1 200 OK\r\n\r\nhel', socket => {
    socket.once('data', () => socket.resetAndDestroy())
  })
  const broken = await reset.response({ onData: () => void reset.send('on') })
  t.equal(broken.truncated, true, 'a reset')
})

t.test('what is not HTTP/1.1 is an error', async t => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['HTTP/1.1 200 OK\nX: 1\n\n', /not a status line/],
    ['HTTP/1.1 200 OK\r\nX : 1\r\n\r\n', /not a header field/],
    ['HTTP/1.1 200 OK\r\nA: 1\r\n b\r\n\r\n', /not a header field/],
    ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', /two framings/],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', /not a chunk size/],
    ['HTTP/1.1 200 OK\r\nX: 1\r\n', /ended inside the headers/],
  ]
  for (const [bytes, message] of cases) {
    await t.rejects((await answered(t, bytes)).response(), message)
  }
})

t.test('HEAD has a length and no body; bytes after it belong to the next response', async t => {
  const connection = await answered(
    t,
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
  )
  const response = await connection.response({ head: true })
  t.equal(response.header('Content-Length'), '5')
  t.equal(response.body.length, 0)
  t.equal((await connection.response()).status, 204)
})

t.test('requests and chunks are built byte for byte', async t => {
  t.equal(
    requestBytes('/a', { method: 'POST', headers: ['X: \xff'], body: 'hi' }).toString('latin1'),
    'POST /a HTTP/1.1\r\nX: \xff\r\nHost: example.test\r\nContent-Length: 2\r\n\r\nhi',
  )
  t.equal(chunkBytes('0123456789abcdefg').toString('latin1'), '11\r\n0123456789abcdefg\r\n')
  t.equal(chunkBytes('').toString('latin1'), '0\r\n\r\n')
})

t.test('waiting ends with the deadline and says for what', async t => {
  await t.rejects(
    waitFor('pigs fly', () => false, 20),
    /after 20 ms still not: pigs fly/,
  )
  await t.rejects(within('the moon', new Promise(() => {}), 20), /still not: the moon/)
  t.equal(await waitFor('zero is a value', () => 0), 0)
})
