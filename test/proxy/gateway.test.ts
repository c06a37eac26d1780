/**
 * An HTTP server behind a proxy route, by the bytes: what it gets, what its client gets, and what becomes of a
 * server that misbehaves (conventions H-13, H-16, L-1, E, F-4, "Which 5xx").
 */
import t, { type Test } from 'tap'
import { defaultBackendTimeouts, type ProxyRouteConfig } from '../../src/server/config.js'
import { listenForBytes, type Peer } from '../support/byte-listener.js'
import { httpUpstream, proxyRoute } from '../support/proxy-route.js'
import { startTestServer, type TestServer } from '../support/serve.js'
import { settled, waitFor } from '../support/wait-for.js'

/** A server whose upstream is `serve`, called for each of its connections with their number from 1. */
async function behind(
  t: Test,
  serve: (peer: Peer, count: number) => unknown,
  changes: Partial<ProxyRouteConfig> = {},
): Promise<TestServer> {
  let count = 0
  const path = await listenForBytes(t, peer => {
    closesToo(peer)
    void serve(peer, ++count)
  })
  return await startTestServer(t, {
    routes: () => [proxyRoute('/api/', [{ kind: 'unix', path }], changes)],
  })
}

/** The listener leaves its side open; a server would not. */
function closesToo({ socket }: Peer): void {
  socket.once('end', () => socket.end())
}

const headEnd = Buffer.from('\r\n\r\n')
const answer = (text: string): string => text.replaceAll('\n', '\r\n')
const ok = answer('HTTP/1.1 200 OK\nContent-Length: 2\n\nhi')

/** Answers each request without a body. */
function answering(text: string): (peer: Peer) => void {
  return ({ socket }) => {
    socket.on('data', chunk => {
      if (chunk.subarray(-4).equals(headEnd)) socket.write(text)
    })
  }
}

t.test('H-13 the bytes of a request, and of its answer', async t => {
  let seen = ''
  const server = await behind(t, async peer => {
    seen = (await peer.receivedEnd(headEnd)).toString('latin1')
    peer.socket.write(
      answer('HTTP/1.1 404 Not \xe9\nServer: x\nSet-Cookie: a=1\nDate: then\nSet-Cookie: b=2\n') +
        answer('Connection: X-Hop\nX-Hop: 1\nContent-Length: 4\n\ngone'),
      'latin1',
    )
  })
  const response = await server.request('/api/%7Ea//b?q=%20;', { headers: ['X-A: \xe9'] })
  const entry = await server.accessFor('/api/')
  t.strictSame(seen.split('\r\n'), [
    ...['GET /api/%7Ea//b?q=%20; HTTP/1.1', 'Host: example.test', 'X-A: \xe9'],
    ...['X-Forwarded-For: 127.0.0.1', 'X-Forwarded-Proto: http', 'X-Forwarded-Host: example.test'],
    ...[`X-Request-Id: ${entry.id}`, '', ''],
  ])
  t.equal(response.status, 404)
  t.equal(response.reason, 'Not \xe9')
  t.equal(response.text(), 'gone')
  t.strictSame(response.all('set-cookie'), ['a=1', 'b=2'])
  t.strictSame(response.all('date'), ['then'], 'L-8')
  t.equal(response.all('server').length, 1)
  t.match(response.header('server'), /^Postern/)
  t.equal(response.header('x-hop'), undefined)
  t.match(entry, { script: /^unix:/, status: 404, bytes: 4 })
})

t.test('a connection is kept for the next request, also after a chunked answer', async t => {
  let connections = 0
  const text = answer('HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nhi\n0\n\n')
  const server = await behind(t, (peer, count) => {
    connections = count
    answering(text)(peer)
  })
  for (let i = 0; i < 3; i++) t.equal((await server.request('/api/')).text(), 'hi')
  t.equal(connections, 1)
})

t.test('E-20 a server that closes costs its own connection, not the client’s', async t => {
  let connections = 0
  const server = await behind(t, async (peer, count) => {
    connections = count
    await peer.receivedEnd(headEnd)
    peer.socket.end(answer('HTTP/1.1 200 OK\nConnection: close\n\nuntil the end'))
  })
  const connection = await server.connect()
  for (let i = 0; i < 2; i++) {
    connection.request('/api/')
    const response = await connection.response()
    t.equal(response.text(), 'until the end')
    t.equal(response.truncated, false)
  }
  t.equal(connections, 2)
})

t.test('H-16 a kept connection that is gone costs nothing', async t => {
  let connections = 0
  const server = await behind(t, (peer, count) => {
    connections = count
    let requests = 0
    peer.socket.on('data', () => {
      // The second request on the first connection meets its end.
      if (count === 1 && ++requests === 2) peer.socket.destroy()
      else peer.socket.write(ok)
    })
  })
  t.equal((await server.request('/api/')).text(), 'hi')
  t.equal((await server.request('/api/')).text(), 'hi')
  t.equal(connections, 2)
})

t.test('H-16 a POST that a server may have begun is not sent again', async t => {
  let requests = 0
  const server = await behind(t, peer => {
    peer.socket.on('data', () => {
      if (++requests === 2) peer.socket.destroy()
      else peer.socket.write(ok)
    })
  })
  t.equal((await server.request('/api/')).text(), 'hi')
  const response = await server.request('/api/', { method: 'POST', body: 'once' })
  t.equal(response.status, 502)
  t.equal(requests, 2)
  t.equal((await server.accessFor('POST')).error, 'UPSTREAM_CLOSED')
})

t.test('bytes that nobody asked for end a kept connection', async t => {
  let connections = 0
  const server = await behind(t, (peer, count) => {
    connections = count
    peer.socket.on('data', () => {
      peer.socket.write(ok)
      if (count === 1) setImmediate(() => peer.socket.write(answer('HTTP/1.1 200 OK\n\nevil')))
    })
    if (count === 1) void peer.closed()
  })
  t.equal((await server.request('/api/')).text(), 'hi')
  await waitFor('the connection is not used again', async () => {
    t.equal((await server.request('/api/')).text(), 'hi', 'never the other answer')
    return connections === 2
  })
})

t.test('L-1 an answer before the body has been read is delivered', async t => {
  const server = await behind(t, ({ socket }) => {
    socket.once('data', () => {
      socket.pause()
      // With bytes of the body unread this is an end and a reset.
      socket.write(answer('HTTP/1.1 401 Unauthorized\nContent-Length: 2\n\nno'), () =>
        socket.destroy(),
      )
    })
  })
  const body = Buffer.alloc(4 * 1024 * 1024, 'x')
  const connection = await server.connect()
  connection.send(`PUT /api/ HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`)
  const answered = connection.response()
  connection.send(body)
  const response = await answered
  t.equal(response.status, 401)
  t.equal(response.text(), 'no')
})

t.test('E-23 hints go on, 100 does not', async t => {
  const server = await behind(
    t,
    answering(
      answer('HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Early Hints\nLink: </a.css>; rel=preload\n\n') +
        ok,
    ),
  )
  const response = await server.request('/api/')
  t.equal(response.text(), 'hi')
  t.strictSame(
    response.interim.map(({ status }) => status),
    [103],
  )
})

t.test('D-2, D-3 a chunked body arrives with its length, or in chunks', async t => {
  const seen: string[] = []
  const serve = async (peer: Peer): Promise<void> => {
    await waitFor('the body is here', () => /hello(\r\n0\r\n\r\n)?$/.test(String(peer.received())))
    await waitFor('its end too', () => {
      const text = String(peer.received())
      return text.includes('Content-Length') || text.endsWith('0\r\n\r\n')
    })
    seen.push(peer.received().toString())
    peer.socket.write(ok)
  }
  const sent =
    'POST /api/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'
  for (const requestBody of ['spool', 'stream'] as const) {
    const server = await behind(t, serve, { requestBody })
    const connection = await server.connect()
    connection.send(sent)
    t.equal((await connection.response()).text(), 'hi')
  }
  t.match(seen[0], /Content-Length: 5\r\n\r\nhello$/)
  t.notMatch(seen[0], /Transfer-Encoding/)
  t.match(seen[1], /Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/)
})

t.test('D-9 a request with two framings never reaches the server', async t => {
  let connections = 0
  const server = await behind(t, (peer, count) => {
    connections = count
    answering(ok)(peer)
  })
  const smuggled = [
    'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /api/evil HTTP/1.1\r\n\r\n',
    'Content-Length: 4\r\nContent-Length: 5\r\n\r\nhello',
    'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
    'Content-Length: +4\r\n\r\nhell',
  ]
  for (const rest of smuggled) {
    const connection = await server.connect()
    connection.send(`POST /api/ HTTP/1.1\r\nHost: a\r\n${rest}`)
    t.equal((await connection.response()).status, 400, JSON.stringify(rest))
  }
  t.equal(connections, 0)
})

const timeouts = { ...defaultBackendTimeouts, firstByteMs: 60, idleMs: 60, graceMs: 50 }

interface Way {
  readonly what: string
  readonly serve: (peer: Peer) => unknown
  readonly status: number
  readonly error: string
  readonly truncated?: true
}

const later =
  (text: string, then: (peer: Peer) => void = () => {}) =>
  (peer: Peer): void => {
    peer.socket.once('data', () => {
      peer.socket.write(text)
      then(peer)
    })
  }
const closes = ({ socket }: Peer): void => void socket.end()
const begun = answer('HTTP/1.1 200 OK\nContent-Length: 20\n\nhalf')

const ways: readonly Way[] = [
  { what: 'F-4 never answers', serve: () => {}, status: 504, error: 'FIRST_BYTE_TIMEOUT' },
  {
    what: 'F-4 stops in its head',
    serve: later('HTTP/1.1 200'),
    ...{ status: 504, error: 'IDLE_TIMEOUT' },
  },
  {
    what: 'F-4 stops in its body',
    serve: later(begun),
    ...{ status: 200, truncated: true, error: 'IDLE_TIMEOUT' },
  },
  { what: 'closes at once', serve: closes, status: 502, error: 'UPSTREAM_CLOSED' },
  {
    what: 'dies in its head',
    serve: later('HTTP/1.1 200 OK\r\nX-A', closes),
    ...{ status: 502, error: 'UPSTREAM_CLOSED' },
  },
  {
    what: 'E-18 dies in a counted body',
    serve: later(begun, closes),
    ...{ status: 200, truncated: true, error: 'TRUNCATED' },
  },
  {
    what: 'E-31 dies in a chunked body',
    serve: later(answer('HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n9\nhalf'), closes),
    ...{ status: 200, truncated: true, error: 'TRUNCATED' },
  },
  {
    what: 'breaks its chunked coding',
    serve: later(answer('HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n4\nhalf\nzz\n')),
    ...{ status: 200, truncated: true, error: 'TRUNCATED' },
  },
  {
    what: 'sends two lengths',
    serve: later(answer('HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 2\n\nab')),
    ...{ status: 502, error: 'UPSTREAM_BAD_HEAD' },
  },
  {
    what: 'sends a length and a coding',
    serve: later(answer('HTTP/1.1 200 OK\nContent-Length: 1\nTransfer-Encoding: chunked\n\n0\n\n')),
    ...{ status: 502, error: 'UPSTREAM_BAD_HEAD' },
  },
  {
    what: 'speaks another protocol',
    serve: later('220 mail.example.test ESMTP\r\n'),
    ...{ status: 502, error: 'UPSTREAM_BAD_HEAD' },
  },
  {
    what: 'E-28 sends a head without end',
    serve: later(`HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(40_000)}`),
    ...{ status: 502, error: 'UPSTREAM_HEAD_TOO_LARGE' },
  },
  {
    what: 'E-28 sends too many fields',
    serve: later(`HTTP/1.1 200 OK\r\n${'X-A: 1\r\n'.repeat(101)}\r\n`),
    ...{ status: 502, error: 'UPSTREAM_HEAD_TOO_LARGE' },
  },
  {
    what: 'says wait for ever',
    serve: later('HTTP/1.1 100 Continue\r\n\r\n'.repeat(1_000)),
    ...{ status: 502, error: 'UPSTREAM_BAD_HEAD' },
  },
  {
    what: 'switches protocols unasked',
    serve: later('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'),
    ...{ status: 502, error: 'UPSTREAM_BAD_HEAD' },
  },
]

for (const { what, serve, status, error, truncated = false } of ways) {
  t.test(
    `a server that ${what}: ${status}, ${error}, and the next request is answered`,
    async t => {
      let sane = false
      const server = await behind(t, peer => (sane ? answering(ok)(peer) : serve(peer)), {
        timeouts,
        capacity: 1,
      })
      const response = await server.request('/api/first')
      t.equal(response.status, status)
      t.equal(response.truncated, truncated)
      t.equal((await server.accessFor('/api/first')).error, error)
      sane = true
      t.equal((await server.request('/api/second')).text(), 'hi')
    },
  )
}

t.test('a server that is not there: 502, with its address in the log', async t => {
  const server = await startTestServer(t, {
    routes: root => [proxyRoute('/api/', [{ kind: 'unix', path: `${root.path}/none.sock` }])],
  })
  t.equal((await server.request('/api/')).status, 502)
  const { message } = await server.recordOf('UPSTREAM_UNREACHABLE')
  t.match(message, /none\.sock: ENOENT/)
})

t.test('a server by its name, and CONNECT to a site that proxies', async t => {
  const { address } = await httpUpstream(t, (req, res) => void res.end(req.headers.host))
  const port = address.kind === 'tcp' ? address.port : 0
  const server = await startTestServer(t, {
    routes: () => [
      proxyRoute('/api/', [{ kind: 'tcp', host: 'localhost', port }], { host: 'upstream' }),
    ],
  })
  t.equal((await server.request('/api/')).text(), `localhost:${port}`)
  const connection = await server.connect()
  connection.send('CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n')
  t.equal((await connection.response()).status, 501, 'A-19')
})

t.test('another server takes the request of one that is not there', async t => {
  const path = await listenForBytes(t, peer => {
    closesToo(peer)
    answering(ok)(peer)
  })
  const server = await startTestServer(t, {
    routes: root => [
      proxyRoute('/api/', [
        { kind: 'unix', path: `${root.path}/none.sock` },
        { kind: 'unix', path },
      ]),
    ],
  })
  for (let i = 0; i < 4; i++) t.equal((await server.request('/api/')).text(), 'hi')
  const post = await server.request('/api/', { method: 'POST', body: 'x\r\n\r\n' })
  t.equal(post.text(), 'hi', 'nothing of a POST had been sent')
})

t.test('a full route: the rest wait, and beyond that 503 with Retry-After', async t => {
  const peers: Peer[] = []
  const server = await behind(t, peer => peers.push(peer), {
    capacity: 1,
    queue: { length: 1, waitMs: 10_000 },
  })
  const first = server.request('/api/1')
  await waitFor('the first is at the server', () => peers[0]?.received().includes('/api/1'))
  const others = [server.request('/api/2'), server.request('/api/2')]
  const refused = await Promise.race(others)
  t.equal(refused.status, 503)
  t.equal(refused.header('retry-after'), '1')
  peers[0]?.socket.write(ok)
  t.equal((await first).text(), 'hi')
  await waitFor('the second is there', () => peers[0]?.received().includes('/api/2'))
  peers[0]?.socket.write(ok)
  const answers = await Promise.all(others)
  t.strictSame(answers.map(({ status }) => status).sort(), [200, 503])
  t.equal(peers.length, 1, 'on the same connection')
})

t.test('F-5 a client that leaves takes its request with it', async t => {
  const peers: Peer[] = []
  const server = await behind(t, peer => peers.push(peer))
  const connection = await server.connect()
  connection.request('/api/')
  const peer = await waitFor('the request is there', () => peers[0])
  await peer.receivedEnd(headEnd)
  connection.destroy()
  await peer.closed()
  t.equal((await server.accessFor('/api/')).error, 'CLIENT_LEFT')
})

t.test('E-34 events go out as they come', async t => {
  const peers: Peer[] = []
  const server = await behind(t, peer => peers.push(peer))
  const connection = await server.connect()
  connection.request('/api/')
  const peer = await waitFor('the request is there', () => peers[0])
  await peer.receivedEnd(headEnd)
  peer.socket.write(answer('HTTP/1.1 200 OK\nContent-Type: text/event-stream\n\n'))
  let seen = ''
  let sent = 0
  const next = (): void => void peer.socket.write(`data: ${++sent}\n\n`)
  next()
  await connection.response({
    onData: chunk => {
      seen += chunk.toString()
      if (!seen.endsWith(`data: ${sent}\n\n`)) return
      if (sent < 5) next()
      else peer.socket.end()
    },
  })
  t.equal(seen, 'data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\ndata: 5\n\n')
})

const piece = Buffer.alloc(256 * 1024)
const pieces = 400
const half = (pieces / 2) * piece.length

t.test('D-8 a client that does not read holds the server', async t => {
  const peers: Peer[] = []
  const server = await behind(t, peer => peers.push(peer))
  const connection = await server.connect()
  connection.request('/api/')
  const peer = await waitFor('the request is there', () => peers[0])
  await peer.receivedEnd(headEnd)
  peer.socket.write(answer('HTTP/1.1 200 OK\n\n'))
  for (let i = 0; i < pieces; i++) peer.socket.write(piece)
  const left = await settled('what the server has to send', () => peer.socket.writableLength)
  t.ok(left > half, `${left} bytes wait at the server`)
  connection.destroy()
  await server.accessFor('/api/')
  peer.socket.destroy()
})

t.test('D-8 a server that does not read holds the client', async t => {
  const peers: Peer[] = []
  const server = await behind(t, peer => {
    peers.push(peer)
    peer.socket.pause()
  })
  const connection = await server.connect()
  const length = pieces * piece.length
  connection.send(`POST /api/ HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`)
  for (let i = 0; i < pieces; i++) connection.send(piece)
  const left = await settled('what the client has to send', () => connection.unsent)
  t.ok(left > half, `${left} bytes wait at the client`)
  peers[0]?.socket.destroy()
  t.equal((await connection.response()).status, 502)
  connection.destroy()
})

t.test('methods of a route: 405 with Allow, nothing is asked', async t => {
  const server = await behind(t, () => t.fail('asked'), { methods: ['GET'] })
  const response = await server.request('/api/', { method: 'DELETE' })
  t.equal(response.status, 405)
  t.equal(response.header('allow'), 'GET')
})

t.test('requests of an upstream that goes on past the drain are broken off', async t => {
  const peers: Peer[] = []
  const path = await listenForBytes(t, peer => {
    closesToo(peer)
    peers.push(peer)
  })
  const server = await startTestServer(t, {
    routes: () => [proxyRoute('/api/', [{ kind: 'unix', path }], { timeouts })],
    config: { timeouts: { headMs: 1_000, bodyMs: 1_000, keepAliveMs: 1_000, drainMs: 50 } },
  })
  const connection = await server.connect()
  connection.request('/api/')
  const peer = await waitFor('the request is there', () => peers[0])
  await peer.receivedEnd(headEnd)
  const closed = server.running.close()
  t.equal((await connection.response()).status, 503)
  await closed
  await peer.closed()
})
