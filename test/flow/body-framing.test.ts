/**
 * Request bodies: whatever the framing, the program gets the bytes, their number and the end (conventions
 * D, RFC 3875 §4.2, RFC 9112 §6).
 */
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { defaultRouteLimits } from '../../src/server/config.js'
import { plainHead, program, shell } from '../support/programs.js'
import { chunkBytes, type RawConnection } from '../support/raw-http.js'
import type { RawResponse } from '../support/raw-response.js'
import { startTestServer, type TestServer } from '../support/serve.js'
import { eachSpawner } from '../support/spawners.js'

const scripts = {
  'echo.cgi': program('echo.sh'),
  'started.cgi': shell('echo yes >"$NOTES/started"', plainHead, 'cat'),
  'count.cgi': shell('count=$(wc -c)', plainHead, 'echo "$count"'),
  'deaf.cgi': shell(plainHead, 'echo answered'),
  'closed.cgi': shell('exec <&-', plainHead, 'echo answered'),
} as const

const chunkedPost = (target: string): string =>
  `POST ${target} HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n`

async function chunked(
  server: TestServer,
  target: string,
  chunks: readonly (string | Buffer)[],
  end = '0\r\n\r\n',
): Promise<RawResponse> {
  const connection = await server.connect()
  connection.send(`${chunkedPost(target)}\r\n`)
  for (const chunk of chunks) connection.send(chunkBytes(chunk))
  connection.send(end)
  return await connection.response()
}

await eachSpawner(t, 'D-1, D-2 with a length, and chunked', async (t, spawner) => {
  const server = await startTestServer(t, { scripts, spawner })
  const plain = await server.request('/cgi-bin/echo.cgi', { method: 'POST', body: 'hello' })
  t.equal(plain.header('x-length'), '5', 'D-1')
  t.equal(plain.text(), 'hello', 'D-1 end of file follows')

  const counted = await chunked(server, '/cgi-bin/echo.cgi', ['hel', 'lo'])
  t.equal(counted.header('x-length'), '5', 'D-2, L-2 CONTENT_LENGTH is counted')
  t.equal(counted.header('x-coding'), 'unset', 'D-2 HTTP_TRANSFER_ENCODING is left out')
  t.equal(counted.text(), 'hello')

  const empty = await chunked(server, '/cgi-bin/echo.cgi', [])
  t.equal(empty.header('x-length'), '0', 'D-2 an empty chunked body')

  const trailers = 'X-Trailer: 1\r\nX-Length: 99\r\n'
  const trailed = await chunked(server, '/cgi-bin/echo.cgi', ['hello'], `0\r\n${trailers}\r\n`)
  t.equal(trailed.header('x-length'), '5', 'D-12 trailers are dropped')

  const data = randomBytes(3 * 1024 * 1024)
  const pieces = Array.from({ length: 48 }, (_, i) => data.subarray(i * 65536, (i + 1) * 65536))
  const large = await chunked(server, '/cgi-bin/echo.cgi', pieces)
  t.equal(large.header('x-length'), String(data.length), 'D-2 beyond what is held in memory')
  t.equal(sha256(large.body), sha256(data))
})

t.test('D-3 requestBody: stream tells no length and does not wait for the end', async t => {
  const route = { requestBody: 'stream' } as const
  const server = await startTestServer(t, { scripts, route })
  const connection = await server.connect()
  connection.send(`${chunkedPost('/cgi-bin/echo.cgi')}\r\n${chunkBytes('first')}`)
  let seen = ''
  const answer = connection.response({
    onData: chunk => {
      seen += chunk.toString()
      if (seen === 'first') connection.send(Buffer.concat([chunkBytes(' second'), chunkBytes('')]))
    },
  })
  const response = await answer
  t.equal(response.header('x-length'), 'unset')
  t.equal(response.header('x-coding'), 'unset')
  t.equal(seen, 'first second', 'the second half was sent after the first came back')
})

t.test('D-4 larger than allowed is 413, and the program never starts', async t => {
  const limits = { ...defaultRouteLimits, bodyBytes: 1000 }
  const server = await startTestServer(t, { scripts, route: { limits } })
  const target = '/cgi-bin/started.cgi'
  const started = join(server.root.notes, 'started')

  const declared = await server.request(target, { method: 'POST', body: Buffer.alloc(1_000_000) })
  t.equal(declared.status, 413, 'a length beyond the limit')
  const counted = await chunked(server, target, [Buffer.alloc(600), Buffer.alloc(600)])
  t.equal(counted.status, 413, 'chunks beyond the limit')
  t.equal(existsSync(started), false, 'not started')

  const exact = await chunked(server, target, [Buffer.alloc(600), Buffer.alloc(400)])
  t.equal(exact.body.length, 1000, 'exactly the limit passes')
  t.equal(existsSync(started), true)
})

t.test('D-4 a streamed body beyond the limit is 413 too', async t => {
  const limits = { ...defaultRouteLimits, bodyBytes: 1000 }
  const route = { limits, requestBody: 'stream' } as const
  const server = await startTestServer(t, { scripts, route })
  const chunks = [Buffer.alloc(600), Buffer.alloc(600)]
  t.equal((await chunked(server, '/cgi-bin/count.cgi', chunks)).status, 413)
  t.equal((await chunked(server, '/cgi-bin/count.cgi', chunks.slice(1))).text(), '600\n')
})

t.test('D-6, L-1 a program that does not read its input', async t => {
  const server = await startTestServer(t, { scripts })
  const body = Buffer.alloc(2 * 1024 * 1024, 0x61)
  for (const name of ['deaf.cgi', 'closed.cgi']) {
    const connection = await server.connect()
    for (const _ of [1, 2]) {
      connection.request(`/cgi-bin/${name}`, { method: 'POST', body })
      const response = await connection.response()
      t.equal(response.status, 200, name)
      t.equal(response.text(), 'answered\n', name)
      if (response.header('connection') === 'close') break
    }
  }
  t.same(
    server.records.filter(record => record.level === 'error'),
    [],
    'no error is logged',
  )
})

t.test('D-9 framings that contradict themselves are 400 and close', async t => {
  const server = await startTestServer(t, { scripts })
  const cases: readonly (readonly [string, string])[] = [
    ['two lengths', 'Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!'],
    ['length and chunked', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['chunked is not the last coding', 'Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n'],
    ['a length that is none', 'Content-Length: 5x\r\n\r\nhello'],
    ['a negative length', 'Content-Length: -5\r\n\r\nhello'],
    ['a chunk size that is none', 'Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n'],
  ]
  for (const [row, rest] of cases) {
    const connection = await server.connect()
    connection.send(`POST /cgi-bin/started.cgi HTTP/1.1\r\nHost: example.test\r\n${rest}`)
    t.equal((await connection.response()).status, 400, row)
    t.equal((await connection.rest()).bytes.length, 0, `${row}: closed`)
  }
  t.equal(existsSync(join(server.root.notes, 'started')), false, 'nothing was started')
})

t.test('D-11 GET with a body; bodies of any method', async t => {
  const server = await startTestServer(t, { scripts })
  for (const method of ['GET', 'PUT', 'DELETE', 'PROPFIND']) {
    const response = await server.request('/cgi-bin/echo.cgi', { method, body: 'hello' })
    t.equal(response.text(), 'hello', method)
    t.equal(response.header('x-method'), method)
  }
})

t.test('B-26 Expect: 100-continue', async t => {
  const server = await startTestServer(t, { scripts })
  const expecting = async (target: string, framing: string): Promise<RawConnection> => {
    const connection = await server.connect()
    const head = `POST ${target} HTTP/1.1\r\nHost: example.test\r\nExpect: 100-continue\r\n`
    connection.send(`${head}${framing}\r\n\r\n`)
    return connection
  }
  const counted = await expecting('/cgi-bin/echo.cgi', 'Content-Length: 5')
  t.equal((await counted.next()).status, 100, 'invited with a length')
  counted.send('hello')
  t.equal((await counted.response()).text(), 'hello')

  const spooled = await expecting('/cgi-bin/echo.cgi', 'Transfer-Encoding: chunked')
  t.equal((await spooled.next()).status, 100, 'invited when chunked')
  spooled.send('5\r\nhello\r\n0\r\n\r\n')
  t.equal((await spooled.response()).text(), 'hello')

  const refused = await expecting('/cgi-bin/none.cgi', 'Content-Length: 5')
  t.equal((await refused.next()).status, 404, 'not invited when nobody would read')
  const large = await expecting('/cgi-bin/echo.cgi', 'Content-Length: 99999999999')
  t.equal((await large.next()).status, 413, 'nor when it is too large')

  const unknown = await server.connect()
  unknown.request('/cgi-bin/echo.cgi', { method: 'POST', headers: ['Expect: cake'], body: 'x' })
  t.equal((await unknown.response()).status, 417, 'another expectation, RFC 9110 §10.1.1')
})

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}
