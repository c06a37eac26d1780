/**
 * The SCGI responder from outside: requests cut anywhere, bodies, ends of every kind, and its limits
 * (conventions H-3, H-4, H-5, and of the FastCGI responder G-50, G-53).
 */
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import express from 'express'
import Koa from 'koa'
import t, { type Test } from 'tap'
import {
  createServer,
  type RequestHandler,
  type ScgiServerOptions,
  variablesOf,
} from '../../src/fastcgi.js'
import { byteByByte } from '../support/chunks.js'
import { tempRoot } from '../support/temp-root.js'
import { waitFor, within } from '../support/wait-for.js'
import { netstring, ScgiPeer } from './responder-peer.js'

const MiB = 1024 * 1024

/** A responder on a unix socket, or a port of its own; closed in teardown. */
async function serve(
  t: Test,
  handler: RequestHandler,
  options: Omit<ScgiServerOptions, 'protocol'> = {},
  where: string | number = join(tempRoot(t).path, 'app.sock'),
) {
  const lines: string[] = []
  const log = (line: string): void => void lines.push(line)
  const server = createServer(handler, { log, ...options, protocol: 'scgi' })
  await server.listen(where)
  t.teardown(() => within('the server is closed', server.close()))
  const address = server.address()
  const place = typeof address === 'string' ? address : (address?.port ?? 0)
  return { server, lines, place, peer: () => new ScgiPeer(t, place) }
}

const hello: RequestHandler = (req, res) => res.end(`${req.method} ${req.url}`)
const helloAnswer = (said: string) =>
  `Status: 200 OK\r\nContent-Length: ${said.length}\r\n\r\n${said}`

t.test(
  'H-1, H-4: the example of the specification; the answer ends with the connection',
  async t => {
    const { peer } = await serve(t, async (req, res) => {
      res.end(`${req.method} ${req.url} ${await text(req)} ${variablesOf(req).get('SCGI')}`)
    })
    const one = peer()
    one.send(
      '70:CONTENT_LENGTH\x0027\0SCGI\x001\0REQUEST_METHOD\0POST\0REQUEST_URI\0/deepthought\0,',
      'What is the answer to life?',
    )
    const said = 'POST /deepthought What is the answer to life? 1'
    t.equal(await one.answer(), helloAnswer(said))
    t.equal(one.failure, '')
  },
)

t.test('a request byte by byte, and all in one piece with more behind it', async t => {
  const { peer } = await serve(t, async (req, res) => res.end(await text(req)))
  const bytes = Buffer.concat([netstring({ REQUEST_METHOD: 'PUT' }, 3), Buffer.from('abc')])
  const slow = peer()
  slow.send(...byteByByte(bytes))
  t.equal(await slow.answer(), helloAnswer('abc'))
  const more = peer()
  more.send(Buffer.concat([bytes, Buffer.from('what is not of the body')]))
  t.equal(await more.answer(), helloAnswer('abc'), 'H-3: exactly CONTENT_LENGTH bytes')
})

t.test(
  'H-5: what is no SCGI request is closed and logged, and the application not called',
  async t => {
    const { peer, lines } = await serve(t, () => t.fail('called'))
    for (const [bytes, line] of [
      ['GET / HTTP/1.1\r\n\r\n', /does not begin with a decimal length/],
      ['024:', /begins with a zero/],
      ['65537', /longer than 65536 bytes/],
      ['24:CONTENT_LENGTH\x000\0SCGI\x001\0;', /comma/],
      ['16:CONTENT_LENGTH\x000,', /NUL behind each/],
      ['24:SCGI\x001\0CONTENT_LENGTH\x000\0,', /first header/],
      ['24:CONTENT_LENGTH\x00x\0SCGI\x001\0,', /not a decimal/],
      ['24:CONTENT_LENGTH\x000\0SCGI\x002\0,', /no header SCGI/],
      ['32:CONTENT_LENGTH\x000\0SCGI\x001\0A\x001\0A\x002\0,', /twice/],
    ] as const) {
      const one = peer()
      one.send(bytes)
      t.equal(await one.answer(), '', JSON.stringify(bytes))
      t.match(lines.pop(), line)
    }
  },
)

t.test('the limit of the head, and one byte more', async t => {
  const head = netstring({ A: 'x'.repeat(70) })
  const length = Number(head.toString('latin1').split(':')[0])
  const fits = await serve(t, hello, { maxHeadBytes: length })
  const one = fits.peer()
  one.send(head)
  t.match(await one.answer(), /^Status: 200/)
  const narrow = await serve(t, hello, { maxHeadBytes: length - 1 })
  const other = narrow.peer()
  other.send(head)
  t.equal(await other.answer(), '')
  t.match(narrow.lines, [/The headers are longer than \d+ bytes/])
})

t.test('as many connections as allowed, and one more', async t => {
  const { peer, lines } = await serve(t, hello, { maxConnections: 2 })
  const kept = [peer(), peer()]
  for (const each of kept) each.send('2')
  await waitFor('both are there', () => kept.every(each => !each.socket.connecting))
  const third = peer()
  await waitFor('the third is closed', () => third.ended || third.closed)
  t.match(lines, [/more than 2 connections/])
  for (const each of kept) {
    each.send('4:CONTENT_LENGTH\x000\0SCGI\x001\0,')
    t.match(await each.answer(), /^Status: 200/)
  }
})

t.test('a head that does not come in time, and one that does', async t => {
  const { peer, lines } = await serve(t, hello, { peerTimeoutMs: 300 })
  const slow = peer()
  slow.send('24:CONTENT')
  t.equal(await slow.answer(), '')
  t.match(lines, [/not complete after 300 ms/])
  const held = await serve(t, (_req, res) => void setTimeout(() => res.end('late'), 450), {
    peerTimeoutMs: 300,
  })
  const one = held.peer()
  one.send(netstring())
  t.equal(await one.answer(), helloAnswer('late'), 'the handler may take its time')
  t.strictSame(held.lines, [])
})

t.test('limits that make no sense are refused', async t => {
  for (const name of ['maxHeadBytes', 'maxConnections', 'maxBufferedBytes', 'peerTimeoutMs']) {
    t.throws(
      () => createServer(hello, { protocol: 'scgi', [name]: 0 }),
      new RangeError(`${name}: expected a whole number of 1 or more, got 0`),
    )
  }
})

t.test('only the addresses that are named may connect', async t => {
  const options = { webServerAddresses: ['127.0.0.2'] }
  const refused = await serve(t, hello, options, 0)
  const one = refused.peer()
  one.send(netstring())
  t.equal(await one.answer(), '')
  t.match(refused.lines, [/127\.0\.0\.1 is not in FCGI_WEB_SERVER_ADDRS or webServerAddresses/])
  const allowed = await serve(t, hello, { webServerAddresses: ['127.0.0.1'] }, 0)
  const other = allowed.peer()
  other.send(netstring())
  t.match(await other.answer(), /^Status: 200/)
})

t.test('G-53: a body shorter than CONTENT_LENGTH is an error, and never looks whole', async t => {
  let seen: { code?: unknown } | undefined
  let read = ''
  const { peer } = await serve(t, async req => {
    try {
      for await (const chunk of req) read += String(chunk)
      t.fail('it looked whole')
    } catch (error) {
      seen = error as { code?: unknown }
    }
  })
  const one = peer()
  one.send(netstring({ REQUEST_METHOD: 'POST' }, 10), 'only')
  await waitFor('the first part', () => read === 'only')
  one.socket.end()
  await waitFor('the error', () => seen !== undefined)
  t.equal(seen?.code, 'ECONNRESET')
})

t.test('a peer that leaves aborts req.signal; an answer that is complete is none', async t => {
  const requests: (IncomingMessage & { signal: AbortSignal })[] = []
  const { peer } = await serve(t, (req, res) => {
    requests.push(req as IncomingMessage & { signal: AbortSignal })
    if (req.url === '/done') res.end('done')
    else res.write('a beginning')
  })
  const left = peer()
  left.send(netstring({ REQUEST_URI: '/waits' }))
  await waitFor('the beginning', () => left.received.endsWith('a beginning'))
  t.equal(requests[0]?.signal.aborted, false)
  left.socket.destroy()
  await waitFor('the signal', () => requests[0]?.signal.aborted === true)
  const done = peer()
  done.send(netstring({ REQUEST_URI: '/done' }))
  await done.answer()
  done.socket.destroy()
  await waitFor('its end', () => requests[1]?.socket.destroyed === true)
  t.equal(requests[1]?.signal.aborted, false)
})

t.test('G-50: an answer before the body is read arrives whole', async t => {
  const { peer } = await serve(t, (_req, res) => void res.writeHead(413).end('too much'), {}, 0)
  const one = peer()
  const size = 8 * MiB
  one.send(netstring({ REQUEST_METHOD: 'POST' }, size), Buffer.alloc(size / 2))
  t.match(await one.answer(), /^Status: 413 [\s\S]*too much$/)
  one.send(Buffer.alloc(size / 2))
  await waitFor('the rest is taken', () => one.socket.writableLength === 0 || one.closed)
  one.socket.end()
  await waitFor('it is closed', () => one.closed)
  t.equal(one.failure, '', 'no reset')
})

t.test('a peer that never sends the rest is closed after the time limit', async t => {
  const options = { peerTimeoutMs: 300 }
  const { server, peer } = await serve(t, (_req, res) => void res.end('enough'), options)
  const one = peer()
  one.send(netstring({ REQUEST_METHOD: 'POST' }, 10), 'x')
  t.match(await one.answer(), /enough$/)
  await within('it does not hold the server up', server.close())
})

t.test('a body that nobody reads is held back, and comes whole to who reads late', async t => {
  let request: IncomingMessage | undefined
  let done: (body: string) => void = () => {}
  const { peer } = await serve(
    t,
    (req, res) => {
      request = req
      done = body => res.end(body)
    },
    { maxBufferedBytes: 64 * 1024 },
  )
  const one = peer()
  const size = 16 * MiB
  one.send(netstring({ REQUEST_METHOD: 'POST' }, size), Buffer.alloc(size, 'x'))
  await waitFor('the request', () => request !== undefined)
  await settled('what is kept', () => request?.readableLength ?? 0)
  t.ok((request?.readableLength ?? 0) > 64 * 1024, 'the limit is reached')
  t.ok((request?.readableLength ?? size) < MiB, 'kept is little more than the limit')
  t.ok(one.socket.writableLength > size / 2, 'the peer has most of it still')
  let bytes = 0
  for await (const chunk of request ?? []) bytes += (chunk as Buffer).length
  done(String(bytes))
  t.match(await one.answer(), new RegExp(`${size}$`))
})

t.test('a long answer to a peer that does not read waits in the handler', async t => {
  let written = 0
  const size = 64 * MiB
  const { peer } = await serve(t, async (_req, res) => {
    const piece = Buffer.alloc(64 * 1024, 'b')
    while (written < size) {
      written += piece.length
      if (!res.write(piece)) await new Promise(resolve => res.once('drain', resolve))
    }
    res.end()
  })
  const one = peer()
  one.socket.pause()
  one.send(netstring())
  await settled('what is written', () => written)
  t.ok(written < 8 * MiB, `${written} bytes are under way`)
  let bytes = 0
  one.socket.removeAllListeners('data')
  one.socket.on('data', chunk => {
    bytes += chunk.length
  })
  one.socket.resume()
  await waitFor('all of it', () => one.ended)
  t.equal(bytes, 'Status: 200 OK\r\n\r\n'.length + size)
})

t.test(
  'a handler that throws is a 500, with its stack in the log; the next request is served',
  async t => {
    const { peer, lines } = await serve(t, req => {
      if (req.url === '/throw') throw new Error('as it was told')
      return hello(req, req.socket as never)
    })
    const one = peer()
    one.send(netstring({ REQUEST_URI: '/throw' }))
    t.match(await one.answer(), /^Status: 500 /)
    t.match(lines, [/^Error: as it was told\n/])
  },
)

t.test('a write is done when it is sent, not before', async t => {
  const { peer } = await serve(t, (_req, res) => void res.write('half', () => res.destroy()))
  const one = peer()
  one.send(netstring())
  t.match(await one.answer(), /half$/)
})

t.test('an answer that breaks off resets the connection', async t => {
  let breakOff: (() => void) | undefined
  const { peer } = await serve(
    t,
    (_req, res) => {
      breakOff = () => void res.destroy()
      res.write('half')
    },
    {},
    0,
  )
  const one = peer()
  one.send(netstring())
  // libuv takes a reset in the same turn as the last data for an end.
  await waitFor('the half', () => one.received.endsWith('half'))
  breakOff?.()
  await waitFor('it is closed', () => one.closed)
  t.equal(one.failure, 'ECONNRESET')
})

t.test('close: what has begun is finished, who has said nothing is closed', async t => {
  let finish = (): void => {}
  const { server, peer, place } = await serve(t, (_req, res) => {
    finish = () => res.end('finished')
  })
  const silent = peer()
  const begun = peer()
  const half = peer()
  const bytes = netstring()
  half.send(bytes.subarray(0, 10))
  begun.send(bytes)
  const before = finish
  await waitFor('the request', () => finish !== before)
  const closed = server.close()
  await waitFor('the silent one is closed', () => silent.ended || silent.closed)
  await waitFor('nobody accepts', () => refuses(String(place)))
  finish()
  t.equal(await begun.answer(), helloAnswer('finished'))
  const second = finish
  half.send(bytes.subarray(10))
  await waitFor('the second request', () => finish !== second)
  finish()
  t.equal(await half.answer(), helloAnswer('finished'))
  await within('the end', closed)
})

t.test('Express and Koa run unmodified', async t => {
  const app = express()
  app.use(express.json())
  app.post('/json/:name', (req, res) => void res.json({ name: req.params.name, ...req.body }))
  const koa = new Koa()
  koa.use(async ctx => {
    ctx.body = `${ctx.method} ${ctx.ip} ${await text(ctx.req)}`
  })
  const body = '{"a":1}'
  const variables = {
    ...{ REQUEST_METHOD: 'POST', REQUEST_URI: '/json/x', CONTENT_TYPE: 'application/json' },
    ...{ REMOTE_ADDR: '10.0.0.7', SERVER_PROTOCOL: 'HTTP/1.1' },
  }
  for (const [handler, end] of [
    [app, '{"name":"x","a":1}'],
    [koa.callback(), `POST 10.0.0.7 ${body}`],
  ] as const) {
    const { peer } = await serve(t, handler)
    const one = peer()
    one.send(netstring(variables, body.length), body)
    const answer = await one.answer()
    t.match(answer, /^Status: 200 OK\r\n/)
    t.ok(answer.endsWith(`\r\n\r\n${end}`), answer)
  }
})

/** Waits until a number is more than 0 and has stopped to grow. */
async function settled(what: string, read: () => number): Promise<void> {
  let before = 0
  let rounds = 0
  await waitFor(`${what} does not grow`, () => {
    const now = read()
    rounds = now === before && now > 0 ? rounds + 1 : 0
    before = now
    return rounds === 10
  })
}

function refuses(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', () => resolve(true))
  })
}
