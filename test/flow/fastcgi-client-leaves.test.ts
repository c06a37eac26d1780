/**
 * Nobody wants the answer any more, or nobody can wait for it: the client leaves, a limit of time passes, the
 * server goes down (conventions D-5, F-4, F-8, G-17, G-18).
 */
import t, { type Test } from 'tap'
import { defaultConfig, type FastCgiRoute } from '../../src/server/config.js'
import { ABORT, end, hex, record, STDIN, STDOUT } from '../support/fastcgi-bytes.js'
import { fastCgiRoute } from '../support/fastcgi-route.js'
import {
  type Script,
  type ScriptedWorker,
  type SeenRequest,
  startWorker,
  type WorkerOptions,
} from '../support/fastcgi-worker.js'
import { startTestServer, type TestServer } from '../support/serve.js'
import { waitFor } from '../support/wait-for.js'

const times = { connectMs: 5_000, firstByteMs: 60_000, idleMs: 60_000, totalMs: 0, graceMs: 3_000 }

interface Subject {
  readonly worker: ScriptedWorker
  readonly server: TestServer
}

async function start(
  t: Test,
  scripts: Readonly<Record<string, Script>>,
  changes: Partial<FastCgiRoute> = {},
  options?: WorkerOptions,
  drainMs = 10_000,
): Promise<Subject> {
  const worker = await startWorker(t, scripts, options)
  const { address } = worker
  const server = await startTestServer(t, {
    routes: () => [fastCgiRoute('/app/', { address, capacity: 1, timeouts: times, ...changes })],
    config: { timeouts: { ...defaultConfig.timeouts, drainMs } },
  })
  return { worker, server }
}

const hang: Script = () => {}
const begin: Script = request => request.send(record(STDOUT, request.id, '\r\nbegun'))

/** Sends a request and leaves once the application has it, or once the answer has begun. */
async function leave(
  server: TestServer,
  worker: ScriptedWorker,
  path: string,
): Promise<SeenRequest> {
  const before = worker.requests.length
  const connection = await server.connect()
  connection.request(path)
  if (path.endsWith('/begin')) {
    await connection.response({ onData: () => connection.destroy() }).catch(() => {})
  }
  const request = await waitFor('the request', () => worker.requests[before])
  connection.destroy()
  return request
}

for (const path of ['/app/hang', '/app/begin']) {
  t.test(`G-17 ${path}: ABORT_REQUEST, and END_REQUEST keeps the connection`, async t => {
    const { worker, server } = await start(t, { '/hang': hang, '/begin': begin })
    const request = await leave(server, worker, path)
    await waitFor('it is aborted', () => request.aborted)
    t.equal(request.records.at(-1)?.type, ABORT)
    t.match(await server.accessFor(path), { error: 'CLIENT_LEFT' })
    const next = server.request('/app/next')
    t.equal(worker.requests.length, 1, 'the place is held until the end')
    request.send(end(request.id))
    t.equal((await next).text(), '/next')
    t.equal(worker.connections, 1)
  })

  t.test(`G-17 ${path}: without END_REQUEST the connection is closed after the grace`, async t => {
    const timeouts = { ...times, graceMs: 100 }
    const { worker, server } = await start(t, { '/hang': hang, '/begin': begin }, { timeouts })
    const request = await leave(server, worker, path)
    await waitFor('it is aborted', () => request.aborted)
    t.equal((await server.request('/app/next')).text(), '/next')
    t.equal(worker.connections, 2)
    await waitFor('the first is closed', () => worker.open === 1)
  })

  t.test(`G-17 ${path}: sendAbort: false closes at once`, async t => {
    const { worker, server } = await start(
      t,
      { '/hang': hang, '/begin': begin },
      { sendAbort: false },
    )
    const request = await leave(server, worker, path)
    await waitFor('the connection is closed', () => worker.open === 0)
    t.equal(request.aborted, false)
    t.equal((await server.request('/app/next')).text(), '/next')
  })
}

const multiplexing: WorkerOptions = {
  values: socket => {
    socket.write(
      record(10, 0, hex('0e01"FCGI_MAX_CONNS1"0d01"FCGI_MAX_REQS4"0f01"FCGI_MPXS_CONNS1"')),
    )
  },
}

t.test('G-18 multiplexed: ABORT_REQUEST only, the neighbour is answered', async t => {
  const timeouts = { ...times, graceMs: 50 }
  const { worker, server } = await start(
    t,
    { '/hang': hang },
    { timeouts, capacity: undefined, probe: true },
    multiplexing,
  )
  const neighbour = server.request('/app/hang')
  await waitFor('the neighbour', () => worker.requests[0])
  const request = await leave(server, worker, '/app/hang')
  await waitFor('it is aborted', () => request.aborted)
  // Longer than the grace: a third request meanwhile goes elsewhere, the neighbour is not hurt.
  await waitFor('the grace has passed', async () => {
    const third = await server.request('/app/third')
    t.equal(third.text(), '/third')
    return worker.requests.at(-1)?.connection !== request.connection
  })
  worker.requests[0]?.answer('\r\nneighbour')
  t.equal((await neighbour).text(), 'neighbour')
  await waitFor('then it is closed', () => request.socket.destroyed)
})

t.test(
  'D-5 a client that leaves in the middle of its body: no end of STDIN, ABORT_REQUEST',
  async t => {
    const { worker, server } = await start(t, { '/hang': hang })
    const connection = await server.connect()
    connection.send('POST /app/hang HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n')
    connection.send(Buffer.alloc(50_000))
    const request = await waitFor('the request', () => worker.requests[0])
    const sent = (): number =>
      request.records.reduce(
        (sum, { type, content }) => sum + (type === STDIN ? content.length : 0),
        0,
      )
    await waitFor('half of the body', () => sent() === 50_000)
    connection.destroy()
    await waitFor('it is aborted', () => request.aborted)
    t.equal(
      request.records.filter(({ type, content }) => type === STDIN && content.length === 0).length,
      0,
    )
    request.send(end(request.id))
    t.equal((await server.request('/app/next')).text(), '/next')
  },
)

t.test('a small body that is not whole never reaches an application', async t => {
  const { worker, server } = await start(t, {})
  const connection = await server.connect()
  connection.send('POST /app/x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf')
  connection.destroy()
  t.match(await server.accessFor('/app/x'), { error: 'CLIENT_LEFT' })
  t.equal(worker.requests.length, 0)
})

const limits: readonly (readonly [string, Partial<typeof times>, Script])[] = [
  ['FIRST_BYTE_TIMEOUT', { firstByteMs: 60 }, hang],
  [
    'IDLE_TIMEOUT',
    { idleMs: 60 },
    request => request.send(record(STDOUT, request.id, 'X-A: 1\r\n')),
  ],
  ['TOTAL_TIMEOUT', { totalMs: 60 }, hang],
]
for (const [code, changes, script] of limits) {
  t.test(`F-4, F-6 ${code} is 504, and the connection is closed at once`, async t => {
    const timeouts = { ...times, ...changes }
    const { worker, server } = await start(t, { '/slow': script }, { timeouts })
    t.equal((await server.request('/app/slow')).status, 504)
    t.match(await server.accessFor('/app/slow'), { error: code })
    await waitFor('the connection is closed', () => worker.open === 0)
    t.equal(worker.requests[0]?.aborted, false)
    t.equal((await server.request('/app/next')).text(), '/next')
  })
}

t.test('F-4 a body that stops is broken off after the idle limit', async t => {
  const timeouts = { ...times, idleMs: 60 }
  const { server } = await start(t, { '/begin': begin }, { timeouts })
  t.equal((await server.request('/app/begin')).truncated, true)
  t.match(await server.accessFor('/app/begin'), { status: 200, error: 'IDLE_TIMEOUT' })
})

t.test(
  'a program that goes on after its answer is not hurried, and its place not given away',
  async t => {
    const { worker, server } = await start(t, {
      '/after': request =>
        request.send(record(STDOUT, request.id, '\r\ndone'), record(STDOUT, request.id)),
    })
    const connection = await server.connect()
    connection.request('/app/after')
    t.equal((await connection.response()).text(), 'done', 'the end of STDOUT ends the answer')
    connection.destroy()
    const next = server.request('/app/next')
    const [request] = worker.requests
    t.equal(request?.aborted, false)
    t.equal(worker.requests.length, 1)
    request?.send(end(1))
    t.equal((await next).text(), '/next')
  },
)

t.test('E-21 an endless answer to HEAD is ended after the grace', async t => {
  const timeouts = { ...times, graceMs: 50 }
  const { worker, server } = await start(t, { '/begin': begin }, { timeouts })
  const connection = await server.connect()
  connection.request('/app/begin', { method: 'HEAD' })
  t.equal((await connection.response({ head: true })).status, 200)
  await waitFor('it is aborted', () => worker.requests[0]?.aborted)
  await waitFor('and closed', () => worker.open === 0)
})

t.test('F-8 the server goes down: requests end, connections are closed', async t => {
  const { worker, server } = await start(
    t,
    { '/hang': hang },
    { capacity: 2, timeouts: { ...times, graceMs: 100 } },
    undefined,
    100,
  )
  t.equal((await server.request('/app/one')).text(), '/one')
  const hanging = server.request('/app/hang').catch(() => undefined)
  const request = await waitFor('the request', () => worker.requests[1])
  await server.running.close()
  await waitFor('all is closed', () => worker.open === 0)
  t.equal(request.aborted, true)
  const response = await hanging
  if (response !== undefined) t.equal(response.status, 503)
})
