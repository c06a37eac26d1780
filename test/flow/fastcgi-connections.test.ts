/**
 * Which connection a request gets, and which one after that: keep-alive, connections that are gone, other
 * upstreams, multiplexing (conventions G-10, G-11, G-18 to G-21).
 */
import t, { type Test } from 'tap'
import { defaultFastCgiRoute, type FastCgiRoute } from '../../src/server/config.js'
import { end, hex, record, STDIN, STDOUT } from '../support/fastcgi-bytes.js'
import { fastCgiRoute } from '../support/fastcgi-route.js'
import {
  answerBytes,
  type Script,
  type ScriptedWorker,
  type SeenRequest,
  startWorker,
  type WorkerOptions,
} from '../support/fastcgi-worker.js'
import { startTestServer, type TestServer } from '../support/serve.js'
import { tempRoot } from '../support/temp-root.js'
import { waitFor } from '../support/wait-for.js'

async function serve(
  t: Test,
  workers: readonly Pick<ScriptedWorker, 'address'>[],
  changes: Partial<FastCgiRoute> = {},
): Promise<TestServer> {
  const addresses = workers.map(({ address }) => address)
  const backend = { kind: 'addresses', addresses } as const
  return await startTestServer(t, {
    routes: () => [fastCgiRoute('/app/', { backend, capacity: 1, ...changes })],
  })
}

/** GET_VALUES_RESULT that promises multiplexing, up to `requests` at once. */
const multiplexing = (requests: string): WorkerOptions => ({
  values: socket => {
    const pairs = `0e01"FCGI_MAX_CONNS1"0d0${requests.length}"FCGI_MAX_REQS${requests}"0f01"FCGI_MPXS_CONNS1"`
    socket.write(record(10, 0, hex(pairs)))
  },
})

t.test('G-20 never more connections than the capacity, and one for one at a time', async t => {
  const held: SeenRequest[] = []
  const worker = await startWorker(t, { '/hold': request => void held.push(request) })
  const server = await serve(t, [worker], { capacity: 2 })
  const answers = Array.from({ length: 6 }, () => server.request('/app/hold'))
  for (let done = 0; done < 6; done++) {
    const request = await waitFor('a request', () => held[done])
    t.ok(held.length - done <= 2, 'never more than two at once')
    request.answer('\r\nheld')
  }
  for (const answer of answers) t.equal((await answer).text(), 'held')
  t.equal(worker.connections, 2)
})

t.test('G-19 a kept connection that was closed meanwhile is replaced', async t => {
  const worker = await startWorker(t)
  const server = await serve(t, [worker])
  t.equal((await server.request('/app/one')).text(), '/one')
  worker.hangUp()
  t.equal((await server.request('/app/two')).text(), '/two')
  t.equal(worker.connections, 2)
})

/** A connection that was kept so long is one that its application means to keep. */
async function untilSettled(): Promise<void> {
  const from = performance.now()
  await waitFor('a moment has passed', () => performance.now() - from > 60)
}

/** Closes the connection at the second request on it, unread or read. */
const closesSecond = (how: (request: SeenRequest) => void): Script => {
  const seen = new Set<number>()
  return request => {
    const isSecond = seen.has(request.connection)
    seen.add(request.connection)
    if (isSecond) how(request)
    else request.answer('\r\nfirst')
  }
}

t.test(
  'G-19 a kept connection that ends under a request: once more, when that is safe',
  async t => {
    const script = closesSecond(request => request.socket.end())
    const worker = await startWorker(t, { '/x': script })
    const server = await serve(t, [worker])
    t.equal((await server.request('/app/x')).text(), 'first')
    t.equal((await server.request('/app/x')).text(), 'first', 'GET is sent again')
    t.equal(worker.requests.length, 3)
    t.equal(
      (await server.request('/app/x', { method: 'PUT', body: 'small' })).text(),
      'first',
      'PUT',
    )
    t.equal(worker.requests.length, 5)
    await untilSettled()
    const post = await server.request('/app/x', { method: 'POST', body: 'x' })
    t.equal(post.status, 502, 'POST may have been read')
    t.equal(worker.requests.length, 6)
    t.match(await server.accessFor('POST'), { error: 'UPSTREAM_CLOSED' })
    t.equal((await server.request('/app/x', { method: 'POST', body: 'x' })).text(), 'first')
  },
)

t.test(
  'G-19 what could not be sent again gets no connection that may be closed right now',
  async t => {
    const worker = await startWorker(t)
    const server = await serve(t, [worker])
    const post = { method: 'POST', body: 'x' }
    for (let i = 0; i < 3; i++) t.equal((await server.request('/app/x', post)).text(), '/x')
    t.strictSame(
      worker.requests.map(({ connection }) => connection),
      [0, 1, 2],
    )
    t.equal(worker.open, 1, 'the one before made room for it')
    await untilSettled()
    t.equal((await server.request('/app/x', post)).text(), '/x')
    t.equal(worker.requests.at(-1)?.connection, 2, 'after a moment it is safe')
  },
)

t.test('G-19 not again once anything of an answer has come', async t => {
  const script = closesSecond(request => request.socket.end(record(STDOUT, 1, 'Content')))
  const worker = await startWorker(t, { '/x': script })
  const server = await serve(t, [worker])
  t.equal((await server.request('/app/x')).text(), 'first')
  t.equal((await server.request('/app/x')).status, 502)
  t.equal(worker.requests.length, 2)
})

t.test('G-19 an upload that was streamed is not sent again', async t => {
  const script = closesSecond(request => void request.body().then(() => request.socket.end()))
  const worker = await startWorker(t, { '/x': script })
  const server = await serve(t, [worker])
  t.equal((await server.request('/app/x')).text(), 'first')
  await untilSettled()
  const body = Buffer.alloc(200_000)
  t.equal((await server.request('/app/x', { method: 'PUT', body })).status, 502)
  t.equal(worker.requests.length, 2)
})

t.test('a request whose upstream breaks goes to another one, once', async t => {
  const dies: Script = request => request.socket.destroy()
  const first = await startWorker(t, { '/x': dies })
  const second = await startWorker(t, { '/x': request => request.answer('\r\nsecond') })
  const server = await serve(t, [first, second])
  const texts = []
  for (let i = 0; i < 4; i++) texts.push((await server.request('/app/x')).text())
  t.strictSame(texts, ['second', 'second', 'second', 'second'])
  t.equal(first.requests.length, 1, 'and is left out for a while')

  const third = await startWorker(t, { '/x': dies })
  const fourth = await startWorker(t, { '/x': dies })
  const fifth = await startWorker(t, { '/x': dies })
  const all = await serve(t, [third, fourth, fifth])
  t.equal((await all.request('/app/x')).status, 502)
  const seen = third.requests.length + fourth.requests.length + fifth.requests.length
  t.equal(seen, 2, 'what kills a program does not kill all of them')
})

t.test('no connection: the next upstream, with any method and body; else 502', async t => {
  const nobody = { address: { kind: 'unix', path: `${tempRoot(t).path}/nobody.sock` } } as const
  const echo: Script = request => {
    void request.body().then(body => request.answer(`\r\n${body.length}`))
  }
  const worker = await startWorker(t, { '/x': echo })
  const body = Buffer.alloc(100_000)
  const server = await serve(t, [nobody, worker])
  t.equal((await server.request('/app/x', { method: 'POST', body })).text(), '100000')
  const alone = await serve(t, [nobody])
  for (let i = 0; i < 2; i++) {
    t.equal((await alone.request('/app/x', { method: 'POST', body: 'x' })).status, 502)
  }
  t.match(await alone.accessFor('POST'), { error: 'UPSTREAM_UNREACHABLE' })
  t.match((await alone.recordOf('UPSTREAM_UNREACHABLE')).message, /nobody\.sock: ENOENT/)
})

t.test('G-11 overloaded: another upstream, when the body is still there', async t => {
  const busy = await startWorker(t, { '/x': request => request.send(end(request.id, 0, 2)) })
  const free = await startWorker(t, { '/x': request => request.answer('\r\nfree') })
  const server = await serve(t, [busy, free])
  t.equal((await server.request('/app/x', { method: 'POST', body: 'small' })).text(), 'free')
  t.equal(busy.requests.length, 1)
  t.equal((await server.request('/app/x')).text(), 'free')
  t.equal(busy.requests.length, 1, 'it rests for a moment')
})

t.test('G-21 nothing is asked without probe, and whoever asks waits 500 ms at most', async t => {
  const silent = await startWorker(t)
  const unasked = await serve(t, [silent], { capacity: undefined })
  t.equal((await unasked.request('/app/x')).text(), '/x')
  t.equal(silent.connections, 1)
  const asked = await serve(t, [silent], { capacity: undefined, probe: true })
  const started = performance.now()
  t.equal((await asked.request('/app/x')).text(), '/x')
  t.ok(performance.now() - started > 400)
  t.equal((await asked.request('/app/y')).text(), '/y')
  t.equal(silent.connections, 3, 'asked once, then one connection for all')
})

t.test('a program that multiplexes: requests share a connection, up to FCGI_MAX_REQS', async t => {
  const held: SeenRequest[] = []
  const scripts = { '/hold': (request: SeenRequest) => void held.push(request) }
  const worker = await startWorker(t, scripts, multiplexing('3'))
  const server = await serve(t, [worker], { capacity: undefined, probe: true })
  const answers = Array.from({ length: 4 }, () => server.request('/app/hold'))
  await waitFor('three requests', () => held.length === 3)
  t.strictSame(
    held.map(({ id }) => id),
    [1, 2, 3],
  )
  t.equal(new Set(held.map(({ connection }) => connection)).size, 1)
  // Their records mixed.
  const [, two] = held
  two?.send(record(STDOUT, 2, '\r\ntw'), record(STDOUT, 1, '\r\n'), record(STDOUT, 2, 'o'), end(2))
  const fourth = await waitFor('the fourth request', () => held[3])
  t.equal(fourth.id, 2, 'the free id is used again')
  fourth.send(answerBytes(2, '\r\nfour'), answerBytes(3, '\r\nthree'), answerBytes(1, 'one'))
  const texts = []
  for (const answer of answers) texts.push((await answer).text())
  t.strictSame(texts.sort(), ['four', 'one', 'three', 'two'])
  t.equal(worker.connections, 2, 'one for the question, one for all')
})

t.test('with a capacity of its own, FCGI_MAX_REQS is still for each connection', async t => {
  const held: SeenRequest[] = []
  const scripts = { '/hold': (request: SeenRequest) => void held.push(request) }
  const worker = await startWorker(t, scripts, multiplexing('3'))
  const server = await serve(t, [worker], { capacity: 5, probe: true })
  const answers = Array.from({ length: 5 }, () => server.request('/app/hold'))
  await waitFor('five requests', () => held.length === 5)
  t.strictSame(
    held.map(({ connection, id }) => [connection, id]),
    [
      [1, 1],
      [1, 2],
      [1, 3],
      [2, 1],
      [2, 2],
    ],
  )
  for (const request of held) request.answer('\r\nfine')
  for (const answer of answers) t.equal((await answer).text(), 'fine')
})

t.test('G-20 an application with fewer processes than connections: nobody starves', async t => {
  // Serves one connection until it is closed, as php-fpm or libfcgi do, though eight may come.
  const waiting: SeenRequest[] = []
  let current = 0
  const next = (): void => {
    for (const request of waiting.splice(0)) serveNow(request)
  }
  const watched = new Set<number>()
  const serveNow: Script = request => {
    if (request.connection !== current) {
      waiting.push(request)
      return
    }
    if (!watched.has(current)) {
      watched.add(current)
      request.socket.on('close', () => {
        current++
        next()
      })
    }
    request.answer('\r\nfine')
  }
  const worker = await startWorker(t, { '/x': serveNow })
  const server = await serve(t, [worker], { capacity: 8 })
  // One busy client keeps its connection warm; others come beside it.
  let busy = true
  const warm = (async () => {
    let count = 0
    while (busy) {
      t.equal((await server.request('/app/x')).status, 200)
      count++
    }
    return count
  })()
  const others = Array.from({ length: 5 }, () => server.request('/app/x'))
  for (const other of others) t.equal((await other).text(), 'fine')
  busy = false
  t.ok((await warm) > 0)
  // And when nothing else comes that would give a connection back.
  const two = [server.request('/app/x'), server.request('/app/x')]
  for (const other of two) t.equal((await other).text(), 'fine')
})

t.test('G-10 CANT_MPX_CONN: once more on a connection of its own, and never again', async t => {
  let first: SeenRequest | undefined
  const script: Script = request => {
    if (request.id > 1) {
      request.send(end(request.id, 0, 1))
      first?.answer('\r\nfine')
      return
    }
    if (first === undefined) first = request
    else request.answer('\r\nfine')
  }
  const worker = await startWorker(t, { '/x': script }, multiplexing('8'))
  const server = await serve(t, [worker], { capacity: undefined, probe: true })
  const answers = [
    server.request('/app/x'),
    server.request('/app/x', { method: 'POST', body: 'a' }),
  ]
  for (const answer of answers) t.equal((await answer).text(), 'fine')
  t.ok(await server.recordOf('multiplexes and does not'))
  const more = Array.from({ length: 4 }, () => server.request('/app/x'))
  for (const answer of more) t.equal((await answer).text(), 'fine')
  t.strictSame(
    worker.requests.slice(2).map(({ id }) => id),
    [1, 1, 1, 1, 1],
  )
})

t.test(
  'G-16 END before the body was sent: the rest is dropped, the connection not used again',
  async t => {
    const worker = await startWorker(t, { '/early': request => request.answer('\r\nenough') })
    const server = await serve(t, [worker])
    const connection = await server.connect()
    connection.send('POST /app/early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n')
    t.equal((await connection.response()).text(), 'enough')
    connection.send(Buffer.alloc(1_000_000))
    connection.request('/app/next')
    t.equal((await connection.response()).text(), '/next', 'the client’s connection is sane')
    t.equal(worker.connections, 2)
    const sent = worker.requests[0]?.records.filter(({ type }) => type === STDIN) ?? []
    t.equal(
      sent.some(({ content }) => content.length === 0),
      false,
      'a body that is not whole has no end',
    )
  },
)

t.test('L-1 an application that answers and reads no more: the answer is delivered', async t => {
  const worker = await startWorker(t, {
    '/deaf': request => {
      request.socket.pause()
      request.socket.end(answerBytes(request.id, 'Status: 401\r\n\r\nno'))
      // Unread bytes make the end of the connection a reset.
      setImmediate(() => request.socket.destroy())
    },
  })
  const server = await serve(t, [worker])
  for (let i = 0; i < 5; i++) {
    const body = Buffer.alloc(2_000_000)
    const response = await server.request('/app/deaf', { method: 'PUT', body })
    t.equal(response.status, 401)
    t.equal(response.text(), 'no')
  }
})

t.test('capacity 8 when nothing is known, and each gets its answer', async t => {
  t.equal(defaultFastCgiRoute.capacity, undefined)
  const held: SeenRequest[] = []
  const worker = await startWorker(t, { '/hold': request => void held.push(request) })
  const server = await serve(t, [worker], { capacity: undefined })
  const answers = Array.from({ length: 9 }, () => server.request('/app/hold'))
  await waitFor('eight requests', () => held.length === 8)
  t.equal(worker.connections, 8)
  for (let at = 0; at < 9; at++) {
    const request = await waitFor('a request', () => held[at])
    request.answer(`\r\n${at}`)
  }
  const texts = []
  for (const answer of answers) texts.push((await answer).text())
  t.strictSame(texts.sort(), ['0', '1', '2', '3', '4', '5', '6', '7', '8'])
})
