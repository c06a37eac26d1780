/**
 * Places, the line for them, and who is left out, with SCGI and uwsgi: the same rules as with FastCGI, each seen
 * once from outside. (The rules themselves: `test/upstream/upstreams.test.ts`.)
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openListenSocket } from '../../src/process/listen-socket.js'
import { defaultScgiRoute } from '../../src/server/config.js'
import type { Address } from '../../src/upstream/address.js'
import { startTestServer } from '../support/serve.js'
import {
  type SeenSocketRequest,
  socketKinds,
  socketRoute,
  startSocketWorker,
} from '../support/socket-worker.js'
import { tempRoot } from '../support/temp-root.js'
import { waitFor } from '../support/wait-for.js'

for (const kind of socketKinds) {
  t.test(`${kind}: never more than the capacity; past the line 503 with Retry-After`, async t => {
    const held: SeenSocketRequest[] = []
    const worker = await startSocketWorker(t, kind, {
      '/hold': request => void held.push(request),
    })
    const server = await startTestServer(t, {
      routes: () => [
        socketRoute(kind, '/app/', [worker.address], {
          capacity: 2,
          queue: { length: 3, waitMs: 10_000 },
        }),
      ],
    })
    const all = [1, 2, 3, 4, 5].map(() => server.request('/app/hold'))
    await waitFor('two are there', () => held.length === 2)
    const refused = await waitFor('one is refused', async () => {
      const response = await server.request('/app/other')
      return response.status === 503 ? response : undefined
    })
    t.ok(refused.header('retry-after'))
    t.equal(worker.connections, 2)
    for (let at = 0; at < 5; at++) {
      const request = await waitFor('the next in line', () => held[at])
      t.ok(worker.open <= 2, `${worker.open} connections`)
      request.answer('\r\nheld')
    }
    for (const each of all) t.equal((await each).text(), 'held')
  })

  t.test(`${kind}: F-5 a client that leaves gives its place to the next at once`, async t => {
    const held: SeenSocketRequest[] = []
    const worker = await startSocketWorker(t, kind, {
      '/hold': request => void held.push(request),
    })
    const server = await startTestServer(t, {
      routes: () => [socketRoute(kind, '/app/', [worker.address], { capacity: 1 })],
    })
    const leaving = await server.connect()
    leaving.request('/app/hold')
    await waitFor('it is there', () => held[0])
    const next = server.request('/app/next')
    leaving.destroy()
    t.equal((await next).text(), '/next')
    await waitFor('the application is told', () => held[0]?.closed)
    t.equal((await server.accessFor('/app/hold')).status, 499)
  })

  t.test(`${kind}: G-19, H-16 what may be sent again, and to whom`, async t => {
    const die = (request: SeenSocketRequest): void => void request.socket.destroy()
    const first = await startSocketWorker(t, kind, { '/die': die })
    const second = await startSocketWorker(t, kind, {})
    const server = await startTestServer(t, {
      routes: () => [socketRoute(kind, '/app/', [first.address, second.address])],
    })
    t.equal((await server.request('/app/die')).text(), '/die', 'GET, and nothing had come')
    const post = { method: 'POST', body: 'x' }
    const answers = [await server.request('/app/die', post), await server.request('/app/die', post)]
    t.ok(
      answers.some(({ status }) => status === 502) || first.requests.length === 1,
      'POST is sent once',
    )
    const posted = [...first.requests, ...second.requests].filter(
      ({ variables }) => variables.get('REQUEST_METHOD') === 'POST',
    )
    t.equal(posted.length, 2)
  })

  t.test(`${kind}: one of two addresses is gone: no request is lost; it comes back`, async t => {
    const path = join(tempRoot(t).path, 'second.sock')
    const first = await startSocketWorker(t, kind)
    const second = await startSocketWorker(t, kind, {}, { path })
    const server = await startTestServer(t, {
      routes: () => [socketRoute(kind, '/app/', [first.address, second.address])],
    })
    for (let i = 0; i < 4; i++) t.equal((await server.request('/app/a')).status, 200)
    t.ok(second.requests.length > 0, 'both are used')
    await second.stop()
    for (let i = 0; i < 6; i++) t.equal((await server.request('/app/b')).status, 200)
    await server.recordOf('is left out for a while')
    const again = await startSocketWorker(t, kind, {}, { path })
    await waitFor('it is used again', async () => {
      t.equal((await server.request('/app/c')).status, 200)
      return again.requests.length > 0
    })
    await server.recordOf('answers again')
  })

  t.test(`${kind}: nobody listens: 502; nobody accepts in time: 504`, async t => {
    const full = await fullBacklog(t)
    const nobody: Address = { kind: 'unix', path: join(tempRoot(t).path, 'nobody.sock') }
    const server = await startTestServer(t, {
      routes: () => [
        socketRoute(kind, '/none/', [nobody]),
        socketRoute(kind, '/full/', [full], {
          timeouts: { ...defaultScgiRoute.timeouts, connectMs: 50 },
        }),
      ],
    })
    t.equal((await server.request('/none/x')).status, 502)
    t.equal((await server.accessFor('/none/x')).error, 'UPSTREAM_UNREACHABLE')
    t.equal((await server.request('/full/x')).status, 504)
    t.equal((await server.accessFor('/full/x')).error, 'UPSTREAM_CONNECT_TIMEOUT')
  })
}

/** A program that never accepts, with as many connections as the system lets wait for it. */
async function fullBacklog(t: Test): Promise<Address> {
  const wanted: Address = { kind: 'tcp', host: '127.0.0.1', port: 0 }
  const socket = await openListenSocket(wanted, { backlog: 1, mode: 0o600 })
  t.teardown(() => socket.release())
  const { address } = socket
  if (address.kind !== 'tcp') throw new Error('asked for TCP')
  for (let at = 0; at < 4; at++) {
    const waiting = connect(address.port, address.host)
    waiting.on('error', () => {})
    t.teardown(() => waiting.destroy())
    // The first find room; the others are seen to have begun.
    await (at < 2 ? once(waiting, 'connect') : new Promise(resolve => setImmediate(resolve)))
  }
  return address
}
