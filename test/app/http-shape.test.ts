/**
 * `createServer`: what a node:http handler sees of a FastCGI request, and what its answer becomes
 * (conventions G-49, G-53, G-54; RFC 3875 §4.1, §6).
 */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import t, { type Test } from 'tap'
import { answer } from '../../src/app/answer.js'
import { ResponderConnection } from '../../src/fastcgi/responder-connection.js'
import { responderSettings } from '../../src/fastcgi/responder-options.js'
import type { ResponderRequest } from '../../src/fastcgi/responder-request.js'
import type { RequestHandler } from '../../src/fastcgi.js'
import { createServer, variablesOf } from '../../src/fastcgi.js'
import { head, Peer, type PeerAnswer, request } from '../fastcgi/responder-peer.js'
import { ABORT, record, STDIN, stream } from '../support/fastcgi-bytes.js'
import { tempRoot } from '../support/temp-root.js'
import { waitFor, within } from '../support/wait-for.js'

const KEEP = 1

async function serve(t: Test, handler: RequestHandler): Promise<Peer> {
  const server = createServer(handler, { log: line => t.comment(line) })
  const path = join(tempRoot(t).path, 'app.sock')
  await server.listen(path)
  t.equal(server.address(), path)
  t.teardown(() => within('the server is closed', server.close()))
  return await Peer.open(t, path)
}

/** One request on a connection that is kept. */
async function ask(
  peer: Peer,
  variables: Readonly<Record<string, string>> = {},
  body = '',
): Promise<PeerAnswer> {
  peer.send(request(1, variables, body, KEEP))
  return await peer.answer()
}

t.test('RFC 3875 §4.1 variables become method, url, version, fields and addresses', async t => {
  let seen: unknown
  let variables: ReadonlyMap<string, string> | undefined
  const peer = await serve(t, (req, res) => {
    const { remoteAddress, remotePort, localAddress, localPort } = req.socket
    seen = {
      ...{ method: req.method, url: req.url, version: req.httpVersion, raw: req.rawHeaders },
      ...{ remoteAddress, remotePort, localAddress, localPort },
      encrypted: 'encrypted' in req.socket && req.socket.encrypted,
      headers: { ...req.headers },
      distinct: req.headersDistinct.cookie,
    }
    variables = variablesOf(req)
    res.end()
  })
  await ask(peer, {
    ...{ REQUEST_METHOD: 'PATCH', REQUEST_URI: '/a%20b?c=d', SERVER_PROTOCOL: 'HTTP/1.0' },
    ...{ HTTP_HOST: 'example.test', HTTP_X_BYTES: '\xe9\xff', HTTP_COOKIE: 'a=b; c=d' },
    ...{ CONTENT_TYPE: 'text/plain', CONTENT_LENGTH: '', HTTP_CONTENT_LENGTH: '7', HTTP_: 'no' },
    ...{ REMOTE_ADDR: '::1', REMOTE_PORT: '1234', SERVER_ADDR: '10.0.0.1', SERVER_PORT: '443' },
    ...{ HTTPS: 'on', OTHER: 'not a field' },
  })
  const headers = {
    ...{ host: 'example.test', 'x-bytes': '\xe9\xff', cookie: 'a=b; c=d' },
    'content-type': 'text/plain',
  }
  t.strictSame(seen, {
    ...{ method: 'PATCH', url: '/a%20b?c=d', version: '1.0', raw: Object.entries(headers).flat() },
    ...{ remoteAddress: '::1', remotePort: 1234, localAddress: '10.0.0.1', localPort: 443 },
    ...{ encrypted: true, headers, distinct: ['a=b; c=d'] },
  })
  t.equal(variables?.get('OTHER'), 'not a field')
})

t.test('without REQUEST_URI the url is put together, encoded again', async t => {
  const peer = await serve(t, (req, res) => res.end(req.url))
  for (const [variables, url] of [
    [
      { SCRIPT_NAME: '/app', PATH_INFO: '/a b/%?#\xe9', QUERY_STRING: 'x=%20' },
      '/app/a%20b/%25%3F%23%E9?x=%20',
    ],
    [{ SCRIPT_NAME: '/app', QUERY_STRING: '' }, '/app'],
    [{ SCRIPT_NAME: '', PATH_INFO: '' }, '/'],
  ] as const) {
    t.equal(bodyOf(await ask(peer, { REQUEST_URI: '', ...variables })), url)
  }
})

t.test('§6 the head is a CGI head without any framing of HTTP', async t => {
  let handler: RequestHandler = () => {}
  const peer = await serve(t, (req, res) => handler(req, res))
  const cases: readonly (readonly [(res: ServerResponse) => void, string])[] = [
    [res => res.end('hello'), 'Status: 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
    [res => res.end(), 'Status: 200 OK\r\nContent-Length: 0\r\n\r\n'],
    [
      res => {
        res.write('a')
        res.end('b')
      },
      'Status: 200 OK\r\n\r\nab',
    ],
    [
      res => res.writeHead(404, 'Not Here', { 'Content-Type': 'text/plain' }).end('x'),
      'Status: 404 Not Here\r\nContent-Type: text/plain\r\n\r\nx',
    ],
    [
      res => res.writeHead(200, ['X-A', '1', 'X-A', '2']).end('x'),
      'Status: 200 OK\r\nX-A: 1\r\nX-A: 2\r\n\r\nx',
    ],
    [
      res => {
        res.setHeader('Set-Cookie', ['a=1', 'b=2'])
        res.setHeader('X-Bytes', 'é')
        res.writeHead(201, { 'X-B': 2 })
        res.end('ü')
      },
      'Status: 201 Created\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Bytes: \xe9\r\nX-B: 2\r\n\r\n\xc3\xbc',
    ],
    [
      res => {
        res.setHeader('Transfer-Encoding', 'chunked')
        res.setHeader('Connection', 'close')
        res.setHeader('Keep-Alive', 'timeout=5')
        res.setHeader('Status', '500')
        res.setHeader('Upgrade', 'h2c')
        res.setHeader('Date', 'mine')
        res.write('ab')
        res.end('c')
      },
      'Status: 200 OK\r\nDate: mine\r\n\r\nabc',
    ],
    [
      res => res.writeHead(200, { Connection: 'close', 'transfer-encoding': 'chunked' }).end('x'),
      'Status: 200 OK\r\n\r\nx',
    ],
    [
      res => {
        res.writeEarlyHints({ link: '</a.css>; rel=preload' })
        res.writeProcessing()
        res.writeContinue()
        res.end('late')
      },
      'Status: 200 OK\r\nContent-Length: 4\r\n\r\nlate',
    ],
    [res => res.writeHead(204).end('dropped'), 'Status: 204 No Content\r\n\r\n'],
    [res => res.writeHead(304).end('dropped'), 'Status: 304 Not Modified\r\n\r\n'],
    [
      res => res.writeHead(200, { 'Content-Length': 3 }).end('abc'),
      'Status: 200 OK\r\nContent-Length: 3\r\n\r\nabc',
    ],
    [res => res.end(Buffer.from([0xff, 0])), 'Status: 200 OK\r\nContent-Length: 2\r\n\r\n\xff\0'],
    [res => res.end('6162', 'hex'), 'Status: 200 OK\r\nContent-Length: 2\r\n\r\nab'],
  ]
  for (const [write, expected] of cases) {
    handler = (_req, res) => write(res)
    const answer = await ask(peer)
    t.equal(answer.stdout, expected)
    t.equal(answer.appStatus, 0)
  }
  handler = (_req, res) => void res.setHeader('X-A', 'b').end('a body')
  t.equal((await ask(peer, { REQUEST_METHOD: 'HEAD' })).stdout, 'Status: 200 OK\r\nX-A: b\r\n\r\n')
})

t.test('a head cannot be split by what a handler puts in it', async t => {
  const refused: string[] = []
  const peer = await serve(t, (_req, res) => {
    for (const headers of [{ 'X-A': 'b\r\nX-C: d' }, { 'X A': 'b' }]) {
      try {
        res.writeHead(200, headers)
      } catch (error) {
        refused.push((error as NodeJS.ErrnoException).code ?? '')
      }
    }
    res.end()
  })
  await ask(peer)
  t.strictSame(refused, ['ERR_INVALID_CHAR', 'ERR_INVALID_HTTP_TOKEN'])
})

t.test('G-54 head, body, STDOUT end and END of a small answer are one write', async t => {
  const handler: RequestHandler = async (req, res) => {
    if (req.url === '/later') await new Promise(setImmediate)
    if (req.url === '/parts') {
      res.setHeader('X', 'y')
      res.write('some ')
      res.write('more ')
    }
    res.end('small')
  }
  const writes: Buffer[] = []
  const socket = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, callback) => {
      writes.push(chunk)
      callback()
    },
  })
  const host = { settings: responderSettings({}), active: 0, closing: false }
  const begin = (fcgi: ResponderRequest): void => answer(handler, fcgi)
  new ResponderConnection(socket as Socket, { ...host, begin })
  for (const url of ['/', '/later', '/parts']) {
    writes.length = 0
    socket.push(request(1, { REQUEST_URI: url }, '', KEEP))
    await waitFor('the answer', () => writes.length > 0)
    await new Promise(setImmediate)
    t.equal(writes.length, 1, url)
    t.same(writes[0]?.subarray(-16, -8), Buffer.from([1, 3, 0, 1, 0, 8, 0, 0]), 'it ends with END')
  }
})

t.test('flushHeaders sends the head at once, writes follow as they come', async t => {
  let go = (): void => {}
  const peer = await serve(t, async (_req, res) => {
    res.flushHeaders()
    await new Promise<void>(resolve => {
      go = resolve
    })
    res.end('body')
  })
  peer.send(request(1, {}, '', KEEP))
  const first = await peer.record(6)
  t.equal(first.content.toString(), 'Status: 200 OK\r\n\r\n')
  go()
  t.equal((await peer.answer()).stdout, 'Status: 200 OK\r\n\r\nbody')
})

t.test('events of req and res come as with node:http', async t => {
  const events: string[] = []
  const peer = await serve(t, (req, res) => {
    for (const name of ['end', 'close', 'aborted', 'error'])
      req.on(name, () => events.push(`req ${name}`))
    for (const name of ['finish', 'close', 'error']) res.on(name, () => events.push(`res ${name}`))
    req.resume()
    req.on('end', () => res.end('x', () => events.push('called back')))
  })
  await ask(peer, {}, 'body')
  await waitFor(
    'the last event',
    () => events.includes('res close') && events.includes('req close'),
  )
  t.strictSame([...events].sort(), [
    'called back',
    'req close',
    'req end',
    'res close',
    'res finish',
  ])
  t.ok(events.indexOf('res finish') < events.indexOf('res close'))
})

t.test('G-49 ABORT: req.signal fires, req and res close, END comes at once', async t => {
  const events: string[] = []
  const peer = await serve(t, req => {
    const { signal } = req as IncomingMessage & { signal: AbortSignal }
    signal.addEventListener('abort', () => events.push('signal'))
    req.on('aborted', () => events.push('aborted'))
    req.on('error', error => events.push((error as NodeJS.ErrnoException).code ?? ''))
    req.on('close', () => events.push('req close'))
  })
  peer.send(head(1, { CONTENT_LENGTH: '5' }, KEEP), record(ABORT, 1))
  t.match(await peer.answer(), { protocolStatus: 0, appStatus: 0, stdout: '' })
  await waitFor('the last event', () => events.includes('req close'))
  t.strictSame(events, ['signal', 'aborted', 'ECONNRESET', 'req close'])
})

t.test('the signal also fires after the body is complete, and not after the answer', async t => {
  const signals: AbortSignal[] = []
  const closed: boolean[] = []
  const peer = await serve(t, (req, res) => {
    signals.push((req as IncomingMessage & { signal: AbortSignal }).signal)
    res.on('close', () => closed.push(res.writableFinished))
    if (req.url === '/done') res.end('x')
  })
  await ask(peer, { REQUEST_URI: '/done' })
  peer.send(request(1, {}, '', KEEP))
  await waitFor('it runs', () => signals.length === 2)
  peer.socket.destroy()
  await waitFor('it is told', () => signals[1]?.aborted)
  await waitFor('res has closed', () => closed.length === 2)
  t.strictSame(closed, [true, false])
  t.equal(signals[0]?.aborted, false)
})

t.test('G-53 a body that is too short errors, and the request can still be answered', async t => {
  const peer = await serve(t, async (req, res) => {
    try {
      for await (const _chunk of req);
    } catch (error) {
      res.statusCode = 400
      res.end((error as NodeJS.ErrnoException).code)
    }
  })
  peer.send(head(1, { CONTENT_LENGTH: '5' }, KEEP), stream(STDIN, 1, '1234'))
  const { stdout } = await peer.answer()
  t.match(stdout, /^Status: 400 Bad Request\r\n/)
  t.equal(bodyOf({ stdout }), 'ECONNRESET')
})

t.test('a handler that throws or rejects: 500, the stack on STDERR, the worker lives', async t => {
  const peer = await serve(t, (req, res) => {
    res.setHeader('X-Secret', 'yes')
    if (req.url === '/throw') throw new Error('thrown here')
    return Promise.reject(new Error('rejected here'))
  })
  for (const [url, said] of [
    ['/throw', /thrown here\n\s+at /],
    ['/reject', /rejected here\n\s+at /],
  ] as const) {
    const answer = await ask(peer, { REQUEST_URI: url })
    t.match(answer.stdout, /^Status: 500 Internal Server Error\r\n/)
    t.notMatch(answer.stdout, /here|X-Secret/, 'nothing of it is told to the client')
    t.match(answer.stderr, said)
  }
})

t.test(
  'E-31 a failure after the head shows: no END when alone, appStatus 1 beside others',
  async t => {
    const waiting: ServerResponse[] = []
    const peer = await serve(t, async (req, res) => {
      if (req.url === '/wait') {
        waiting.push(res)
        return
      }
      res.write('half an ')
      await new Promise(setImmediate)
      throw new Error('too late')
    })
    peer.send(head(2, { REQUEST_URI: '/wait' }, KEEP), request(1, {}, '', KEEP))
    t.match(await peer.answer(1), { appStatus: 1, stdout: /half an $/ })
    waiting[0]?.end('fine')
    t.match(await peer.answer(2), { appStatus: 0, stdout: /fine$/ })
    peer.send(request(1, {}, '', KEEP))
    await peer.untilClosed()
    t.strictSame(
      peer.records.map(({ type }) => type).filter(type => type === 3),
      [],
      'no END',
    )
  },
)

t.test('write() tells of pressure, drain comes, and a pipeline of a generator ends', async t => {
  let full = false
  const peer = await serve(t, async (req, res) => {
    const block = Buffer.alloc(64 * 1024)
    if (req.url === '/drain') {
      for (let count = 0; count < 64; count++) {
        if (res.write(block)) continue
        full = true
        await once(res, 'drain')
        t.equal(res.writableNeedDrain, false)
      }
      res.end()
      return
    }
    await pipeline(async function* () {
      for (let count = 0; count < 64; count++) yield block
    }, res)
  })
  for (const url of ['/drain', '/pipeline']) {
    const { stdout } = await ask(peer, { REQUEST_URI: url })
    t.equal(bodyOf({ stdout }).length, 4 * 1024 * 1024, url)
  }
  t.equal(full, true)
})

t.test('an unknown protocol is refused, variablesOf refuses a stranger’s request', async t => {
  t.throws(() => createServer(() => {}, { protocol: 'ftp' as 'scgi' }), /protocol: .*got ftp/)
  t.throws(() => variablesOf({ socket: {} } as IncomingMessage), TypeError)
  await t.rejects(createServer(() => {}).listen(), /not a listening socket/)
})

function bodyOf({ stdout }: { stdout: string }): string {
  return stdout.slice(stdout.indexOf('\r\n\r\n') + 4)
}
