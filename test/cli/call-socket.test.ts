/** `postern call` by SCGI and uwsgi, from outside: against listeners that answer by hand, and our own responder. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { callSocket } from '../../src/cli/call-socket.js'
import { createServer } from '../../src/fastcgi.js'
import { listenForBytes } from '../support/byte-listener.js'
import { tempRoot } from '../support/temp-root.js'
import { waitFor, within } from '../support/wait-for.js'
import { postern, runPostern } from './command.js'

const page = 'Content-Type: text/plain\r\nStatus: 404 Not Here\r\n\r\nnot here\n'

/** Answers once these bytes have come, and closes; what came is the second of the two. */
async function worker(t: Test, end: string, answer: string) {
  let received = Buffer.alloc(0)
  const path = await listenForBytes(t, peer => {
    peer.receivedEnd(Buffer.from(end, 'latin1')).then(bytes => {
      received = Buffer.from(bytes)
      peer.socket.end(answer)
    })
  })
  return { address: `unix:${path}`, received: () => received.toString('latin1') }
}

t.test(
  'H-1, H-2: SCGI: a netstring, then the body; the answer ends with the connection',
  async t => {
    const { address, received } = await worker(t, ',a=b', page)
    const words = ['call', '--protocol', 'scgi', address, '/x?y=1', '-d', 'a=b', '-i', '-f']
    t.same(await runPostern(t, '/', words), { code: 22, signal: null, stdout: page, stderr: '' })
    const bytes = received()
    const colon = bytes.indexOf(':')
    t.equal(Number(bytes.slice(0, colon)), bytes.length - colon - 1 - ',a=b'.length)
    const first = 'CONTENT_LENGTH\x003\0SCGI\x001\0GATEWAY_INTERFACE\0CGI/1.1\0'
    t.ok(bytes.startsWith(first, colon + 1))
    t.match(bytes, '\0QUERY_STRING\0y=1\0')
    t.notMatch(bytes, 'FCGI_ROLE')
  },
)

t.test('H-6, H-8: uwsgi: a packet with the modifier that was asked for', async t => {
  const { address, received } = await worker(t, 'body', page)
  const words = ['call', '--protocol', 'uwsgi', '--modifier1', '5', address, '/x', '-d', 'body']
  t.match(await runPostern(t, '/', words), { code: 0, stdout: 'not here\n', stderr: '' })
  const bytes = Buffer.from(received(), 'latin1')
  t.equal(bytes[0], 5)
  t.equal(bytes.readUInt16LE(1), bytes.length - 4 - 'body'.length)
  t.equal(bytes[3], 0)
  t.match(received(), '\x09\0PATH_INFO\x02\0/x')
})

t.test('H-4: an answer that begins with HTTP/1.x', async t => {
  const { address } = await worker(t, ',', 'HTTP/1.0 500 Oh\r\nServer: x\r\n\r\nbody')
  const words = ['call', '--protocol', 'scgi', address, '/', '-f']
  t.match(await runPostern(t, '/', words), { code: 22, stdout: 'body', stderr: '' })
})

t.test('--trace shows what is sent and received', async t => {
  for (const [protocol, end, head] of [
    ['scgi', ',a=b', /^> SCGI \d+ bytes: CONTENT_LENGTH=3 SCGI=1 GATEWAY_INTERFACE=CGI\/1\.1 /m],
    ['uwsgi', 'a=b', /^> uwsgi modifier1 0 modifier2 0 \d+ bytes: .*CONTENT_LENGTH=3/m],
  ] as const) {
    const { address } = await worker(t, end, page)
    const words = ['call', '--protocol', protocol, address, '/', '-d', 'a=b', '--trace']
    const secret = ['-H', 'Authorization: Bearer x', '-H', 'X-Long: a b']
    const { stdout, stderr } = await runPostern(t, '/', [...words, ...secret])
    t.equal(stdout, 'not here\n')
    t.match(stderr, head)
    t.match(stderr, /HTTP_AUTHORIZATION=\(8 bytes hidden\)/)
    t.match(stderr, /HTTP_X_LONG="a b"/)
    t.match(stderr, /^> 3 bytes: a=b$/m)
    t.match(stderr, /^< \d+ bytes: Content-Type: text\/plain\\x0d\\x0aStatus: 404/m)
    t.match(stderr, /\n= closed\n$/)
  }
})

t.test('a file and standard input go to our own responder, and come back', async t => {
  const { path } = tempRoot(t)
  const server = createServer(async (req, res) => res.end((await text(req)).length.toString()), {
    protocol: 'scgi',
  })
  await server.listen(join(path, 'app.sock'))
  t.teardown(() => within('the server is closed', server.close()))
  const size = 3 * 1024 * 1024
  writeFileSync(join(path, 'data'), 'x'.repeat(size))
  const words = ['call', '--protocol', 'scgi', `unix:${path}/app.sock`, '/', '-d']
  t.match(await runPostern(t, path, [...words, '@data']), { code: 0, stdout: String(size) })
  t.match(await runPostern(t, path, [...words, '@data', '--trace']), { code: 0, stdout: `${size}` })
})

t.test('no answer is exit code 1 and one line that says why', async t => {
  const silent = await worker(t, ',', '')
  const waits = `unix:${await listenForBytes(t, () => {})}`
  for (const [words, line] of [
    [[silent.address, '/'], /^postern: call: The program .*\n$/],
    [[waits, '/', '--timeout', '100ms'], /After 100 ms\./],
    [['unix:/nowhere/x.sock', '/'], /unix:\/nowhere\/x\.sock: ENOENT/],
  ] as const) {
    const result = await runPostern(t, '/', ['call', '--protocol', 'scgi', ...words])
    t.match(result, { code: 1, stdout: '', stderr: line })
  }
})

t.test('H-7: what uwsgi cannot carry is not sent', async t => {
  const { address } = await worker(t, 'never', '')
  const words = ['call', '--protocol', 'uwsgi', address, '/', '--env', `A=${'x'.repeat(65_536)}`]
  const { code, stderr } = await runPostern(t, '/', words)
  t.equal(code, 1)
  t.match(stderr, /uwsgi takes 65535/)
})

t.test('an answer that nobody reads waits at the peer', async t => {
  let sent = 0
  const path = await listenForBytes(t, ({ socket }) => {
    const write = (): void => {
      while (socket.writable && socket.write(Buffer.alloc(65_536))) sent += 65_536
      sent += 65_536
    }
    socket.on('drain', write)
    write()
  })
  const { stdout, ended } = callSocket({
    address: { kind: 'unix', path },
    protocol: 'scgi',
    head: Buffer.from('0:,'),
    timeoutMs: 0,
  })
  let before = 0
  let rounds = 0
  await waitFor('no more is sent', () => {
    rounds = sent === before && sent > 0 ? rounds + 1 : 0
    before = sent
    return rounds === 10
  })
  t.ok(sent < 8 * 1024 * 1024, `${sent} bytes are under way`)
  stdout.destroy()
  await ended
})

t.test('a reader that has enough is no failure, and the connection is closed', async t => {
  let closed: Promise<void> | undefined
  const path = await listenForBytes(t, peer => {
    closed = peer.closed()
    const piece = Buffer.alloc(65_536, 'x')
    const write = (): void => {
      while (peer.socket.writable && peer.socket.write(piece)) {}
    }
    peer.socket.write('Content-Type: text/plain\n\n')
    peer.socket.on('drain', write)
    write()
  })
  const command = postern(t, '/', ['call', '--protocol', 'uwsgi', `unix:${path}`, '/'])
  await command.printed(/x/)
  command.closeStdout()
  t.match(await command.ended, { code: 0, stderr: '' })
  await closed
})
