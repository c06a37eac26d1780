/**
 * WebSocket through a proxy route: handshake and frames by hand (RFC 6455 §1.3, §5.2), ends of either side, the
 * idle limit, the drain; and requests that only ask (RFC 9110 §7.8).
 */
import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { defaultBackendTimeouts, type ProxyRouteConfig } from '../../src/server/config.js'
import { listenForBytes, type Peer } from '../support/byte-listener.js'
import { httpUpstream, proxyRoute } from '../support/proxy-route.js'
import { startTestServer, type TestServer } from '../support/serve.js'
import { settled, waitFor } from '../support/wait-for.js'

const key = 'dGhlIHNhbXBsZSBub25jZQ=='
const handshake =
  'GET /ws/chat HTTP/1.1\r\nHost: example.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n' +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`

/** A text frame of at most 125 bytes; those of a client are masked. */
function frame(text: string, mask?: Buffer): Buffer {
  const data = Buffer.from(text)
  if (mask === undefined) return Buffer.concat([Buffer.from([0x81, data.length]), data])
  const masked = data.map((byte, at) => byte ^ (mask[at & 3] ?? 0))
  return Buffer.concat([Buffer.from([0x81, 0x80 | data.length]), mask, masked])
}

const mask = Buffer.from([1, 2, 3, 4])

/** A WebSocket server: answers each whole frame with the same text in capitals. */
async function echoing(t: Test) {
  const { address, server } = await httpUpstream(t, (_req, res) => {
    res.end('plain')
  })
  server.on('upgrade', (req, socket: Socket) => {
    const accept = createHash('sha1')
      .update(`${req.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64')
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    socket.on('data', chunk => {
      const length = (chunk[1] ?? 0) & 0x7f
      const text = chunk
        .subarray(6, 6 + length)
        .map((byte, at) => byte ^ (chunk[2 + (at & 3)] ?? 0))
      socket.write(frame(Buffer.from(text).toString().toUpperCase()))
    })
    socket.on('end', () => socket.end())
    socket.on('error', () => {})
  })
  return address
}

async function serve(
  t: Test,
  addresses: ProxyRouteConfig['addresses'],
  changes: Partial<ProxyRouteConfig> = {},
): Promise<TestServer> {
  return await startTestServer(t, {
    scripts: { 'body.sh': '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"\ncat' },
    routes: () => [proxyRoute('/ws/', addresses, changes)],
    config: { timeouts: { headMs: 1_000, bodyMs: 1_000, keepAliveMs: 1_000, drainMs: 50 } },
  })
}

/** A server by the bytes, that switches protocols. */
async function switching(t: Test): Promise<{ path: string; peers: Peer[] }> {
  const peers: Peer[] = []
  const path = await listenForBytes(t, peer => {
    peers.push(peer)
    peer.socket.once('data', () =>
      peer.socket.write('HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nfirst'),
    )
  })
  return { path, peers }
}

/** A connection that has become the other protocol's, and what has come on it. */
async function tunnel(server: TestServer) {
  const connection = await server.connect()
  connection.send(handshake)
  const response = await connection.next()
  return { connection, response }
}

t.test('RFC 6455 §1.3 a handshake and frames both ways', async t => {
  const server = await serve(t, [await echoing(t)])
  const { connection, response } = await tunnel(server)
  t.equal(response.status, 101)
  t.equal(response.header('sec-websocket-accept'), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
  t.strictSame(response.all('connection'), ['Upgrade'])
  t.strictSame(response.all('upgrade'), ['websocket'])
  connection.send(frame('hello', mask))
  connection.end()
  const { bytes } = await connection.rest()
  t.equal(bytes.toString('hex'), frame('HELLO').toString('hex'))
  t.match(await server.accessFor('/ws/chat'), { status: 101, bytes: 7, script: /^127/ })
})

t.test('frames that come with the handshake are not lost', async t => {
  const server = await serve(t, [await echoing(t)])
  const connection = await server.connect()
  connection.send(Buffer.concat([Buffer.from(handshake), frame('early', mask)]))
  t.equal((await connection.next()).status, 101)
  connection.end()
  t.equal((await connection.rest()).bytes.toString(), frame('EARLY').toString())
})

t.test('bytes behind 101, and the end of either side', async t => {
  const { path, peers } = await switching(t)
  const server = await serve(t, [{ kind: 'unix', path }])
  const { connection } = await tunnel(server)
  const [peer] = peers
  t.match(peer?.received().toString(), /Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n$/)
  connection.send('question')
  connection.end()
  await peer?.receivedEnd(Buffer.from('question'))
  await peer?.closed()
  peer?.socket.end('answer')
  t.equal((await connection.rest()).bytes.toString(), 'firstanswer', 'after the client’s end')
})

t.test('a client that breaks off takes the server’s side with it, and the other way', async t => {
  const { path, peers } = await switching(t)
  const server = await serve(t, [{ kind: 'unix', path }], { capacity: 1 })
  const first = await tunnel(server)
  first.connection.reset()
  await peers[0]?.closed()
  peers[0]?.socket.destroy()
  const second = await tunnel(server)
  t.equal(second.response.status, 101, 'its place is free again')
  peers[1]?.socket.destroy()
  t.equal((await second.connection.rest()).bytes.toString(), 'first')
})

const piece = Buffer.alloc(256 * 1024)
const pieces = 400

t.test('D-8 a client that does not read holds the server', async t => {
  const { path, peers } = await switching(t)
  const server = await serve(t, [{ kind: 'unix', path }])
  const { connection } = await tunnel(server)
  const socket = peers[0]?.socket
  for (let i = 0; i < pieces; i++) socket?.write(piece)
  const left = await settled('what the server has to send', () => socket?.writableLength ?? 0)
  t.ok(left > (pieces / 2) * piece.length, `${left} bytes wait at the server`)
  connection.destroy()
  await peers[0]?.closed()
  socket?.destroy()
})

t.test('D-8 a server that does not read holds the client', async t => {
  const { path, peers } = await switching(t)
  const server = await serve(t, [{ kind: 'unix', path }])
  const { connection } = await tunnel(server)
  const socket = peers[0]?.socket
  socket?.pause()
  for (let i = 0; i < pieces; i++) connection.send(piece)
  const left = await settled('what the client has to send', () => connection.unsent)
  t.ok(left > (pieces / 2) * piece.length, `${left} bytes wait at the client`)
  connection.destroy()
  socket?.destroy()
  await server.accessFor('"status":101')
})

t.test('a place is held for as long as the tunnel', async t => {
  const { path, peers } = await switching(t)
  const queue = { length: 0, waitMs: 1_000 }
  const server = await serve(t, [{ kind: 'unix', path }], { capacity: 1, queue })
  const { connection } = await tunnel(server)
  t.equal((await server.request('/ws/')).status, 503)
  connection.destroy()
  await peers[0]?.closed()
  peers[0]?.socket.end()
  await server.accessFor('"status":101')
})

t.test('F-4 a tunnel without a word ends after timeouts.idle', async t => {
  const { path, peers } = await switching(t)
  const timeouts = { ...defaultBackendTimeouts, idleMs: 60 }
  const server = await serve(t, [{ kind: 'unix', path }], { timeouts })
  const { connection } = await tunnel(server)
  t.equal((await connection.rest()).bytes.toString(), 'first')
  await peers[0]?.closed()
  peers[0]?.socket.destroy()
})

t.test('F-8 the drain ends tunnels', async t => {
  const { path, peers } = await switching(t)
  const server = await serve(t, [{ kind: 'unix', path }])
  const { connection } = await tunnel(server)
  const closed = server.running.close()
  t.equal((await connection.rest()).bytes.toString(), 'first')
  await peers[0]?.closed()
  peers[0]?.socket.destroy()
  await closed
})

t.test('any other answer than 101 is given as usual', async t => {
  const { address } = await httpUpstream(t, (_req, res) => {
    res.writeHead(403, { 'Content-Type': 'text/plain' })
    res.end('no')
  })
  const server = await serve(t, [address])
  const connection = await server.connect()
  connection.send(handshake)
  const response = await connection.response()
  t.equal(response.status, 403)
  t.equal(response.text(), 'no')
  await connection.rest()
  t.match(await server.accessFor('/ws/chat'), { status: 403, bytes: 2 })
})

t.test('a server that cannot be reached: 502 to who asks for an upgrade', async t => {
  const server = await serve(t, [{ kind: 'unix', path: '/nowhere/none.sock' }])
  const connection = await server.connect()
  connection.send(handshake)
  t.equal((await connection.response()).status, 502)
  await connection.rest()
})

t.test('a client that leaves before the answer takes the request with it', async t => {
  const peers: Peer[] = []
  const path = await listenForBytes(t, peer => peers.push(peer))
  const server = await serve(t, [{ kind: 'unix', path }])
  const connection = await server.connect()
  connection.send(handshake)
  const peer = await waitFor('the request is there', () => peers[0])
  connection.destroy()
  await peer.closed()
  peer.socket.destroy()
  t.equal((await server.accessFor('/ws/chat')).error, 'CLIENT_LEFT')
})

t.test('elsewhere, and with a body, Upgrade is ignored and the connection goes on', async t => {
  let seen: string | undefined
  const { address } = await httpUpstream(t, (req, res) => {
    seen = req.headers.upgrade
    req.pipe(res)
  })
  const server = await serve(t, [address])
  const connection = await server.connect()
  const asks = { headers: ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c'] }
  for (const target of ['/cgi-bin/body.sh', '/ws/x']) {
    connection.request(target, { ...asks, method: 'POST', body: 'body' })
    const response = await connection.response()
    t.equal(response.status, 200, target)
    t.equal(response.text(), 'body')
    connection.request(target, asks)
    t.equal((await connection.response()).status, 200)
  }
  t.equal(seen, undefined)
  connection.request('/cgi-bin/body.sh', { headers: ['Connection: Upgrade', 'Upgrade: websocket'] })
  t.equal((await connection.response()).status, 200)
})
