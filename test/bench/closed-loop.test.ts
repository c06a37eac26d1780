/**
 * The load generator against servers whose behaviour is known: what it counts, and when it ends.
 */
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { type LoadPlan, type LoadReport, runLoad } from '../../src/bench/load.js'
import { waitFor, within } from '../support/wait-for.js'

const { signal } = new AbortController()

async function portOf(t: Test, server: Server): Promise<number> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

interface Served {
  readonly plan: LoadPlan
  /** Requests that arrived. */
  readonly requests: () => number
  /** Connections that were made. */
  readonly connections: () => number
  readonly open: () => number
}

async function serve(
  t: Test,
  onRequest: RequestListener,
  plan: Partial<LoadPlan> = {},
): Promise<Served> {
  let requests = 0
  let connections = 0
  const server = createServer((request, response) => {
    requests++
    onRequest(request, response)
  })
  const open = new Set<Socket>()
  server.on('connection', socket => {
    connections++
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  const port = await portOf(t, server)
  const expected = { status: 200, type: '', length: 2, body: Buffer.from('ok').toString('base64') }
  return {
    plan: {
      host: '127.0.0.1',
      port,
      target: '/x?y',
      clients: 2,
      durationMs: 200,
      expected,
      ...plan,
    },
    requests: () => requests,
    connections: () => connections,
    open: () => open.size,
  }
}

const run = (plan: LoadPlan, drainMs?: number): Promise<LoadReport> =>
  within('the load has run', runLoad(plan, signal, drainMs))

t.test('every request has one outcome, on connections that are kept', async t => {
  const urls = new Set<string>()
  const served = await serve(t, (request, response) => {
    urls.add(`${request.method} ${request.url} ${request.headers.host}`)
    response.end('ok')
  })
  const report = await run(served.plan)
  t.equal(report.requests + report.drained, served.requests())
  t.ok(report.requests > 20, `${report.requests} requests`)
  t.ok(report.drained <= 2)
  t.equal(served.connections(), 2)
  t.match(report, { errors: 0, wrong: 0, seconds: 0.2 })
  t.strictSame([...urls], [`GET /x?y 127.0.0.1:${served.plan.port}`])
  await waitFor('the connections are closed', () => served.open() === 0)
})

t.test('a fixed 20 ms is reported as that', async t => {
  const served = await serve(
    t,
    (_, response) => {
      const from = performance.now()
      const answer = (): void => {
        // A timer may fire a fraction early.
        if (performance.now() - from < 20) setImmediate(answer)
        else response.end('ok')
      }
      setTimeout(answer, 19)
    },
    { clients: 4, durationMs: 1_000 },
  )
  const { p50Ms = 0, requests } = await run(served.plan)
  t.ok(p50Ms >= 20 && p50Ms < 22, `p50 is ${p50Ms} ms`)
  t.ok(requests > 170 && requests <= 200, `${requests} requests, 4 clients of 50 a second`)
})

t.test('a wrong answer is not speed', async t => {
  let count = 0
  const served = await serve(
    t,
    (_, response) => void response.end(count++ % 2 === 0 ? 'ok' : 'no'),
    {
      clients: 1,
    },
  )
  const report = await run(served.plan)
  t.ok(report.wrong > 0)
  t.ok(Math.abs(report.requests + report.drained - report.wrong) <= 1)
  t.equal(report.errors, 0)
})

t.test('5xx and broken answers are errors; the loop goes on', async t => {
  let count = 0
  const served = await serve(
    t,
    (_, response) => {
      switch (count++ % 3) {
        case 0:
          return void response.end('ok')
        case 1:
          return void response.writeHead(503).end('ok')
        default:
          return void response
            .writeHead(200, { 'Content-Length': '10' })
            .write('ok', () => response.destroy())
      }
    },
    { clients: 1 },
  )
  const report = await run(served.plan)
  t.ok(report.requests >= 3, `${report.requests} right answers`)
  t.ok(report.errors >= report.requests, `${report.errors} errors`)
  t.equal(report.wrong, 0)
})

t.test('a server that closes each connection is asked on new ones', async t => {
  const served = await serve(t, (_, response) => {
    response.shouldKeepAlive = false
    response.end('ok')
  })
  const report = await run(served.plan)
  t.ok(report.requests > 5)
  t.equal(report.errors, 0)
  t.equal(served.connections(), served.requests())
})

t.test('nobody listens: errors, and no busy loop', async t => {
  const server = createTcpServer()
  const port = await portOf(t, server)
  await new Promise(resolve => server.close(resolve))
  const served = await serve(t, () => {})
  const report = await run({ ...served.plan, port, clients: 1 })
  t.match(report, { requests: 0, p50Ms: undefined })
  t.ok(report.errors > 0 && report.errors <= 25, `${report.errors} attempts in 200 ms`)
})

t.test('the last answers are waited for, but not for ever', async t => {
  const late = await serve(t, (_, response) => void setTimeout(() => response.end('ok'), 300))
  t.match(await run(late.plan), { requests: 0, drained: 2, errors: 0 })

  const never = await serve(t, () => {})
  const from = performance.now()
  t.match(await run(never.plan, 50), { requests: 0, drained: 0, errors: 2 })
  t.ok(performance.now() - from < 2_000)
  await waitFor('the connections are closed', () => never.open() === 0)
})

t.test('the signal ends it at once', async t => {
  const served = await serve(t, () => {}, { durationMs: 60_000 })
  const stop = new AbortController()
  const running = runLoad(served.plan, stop.signal)
  await waitFor('both clients have asked', () => served.requests() === 2)
  stop.abort()
  t.match(await within('the load has ended', running), { requests: 0, errors: 2 })
  await waitFor('the connections are closed', () => served.open() === 0)
})
