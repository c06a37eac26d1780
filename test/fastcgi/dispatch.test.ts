/**
 * How often a request is sent, and to whom, when programs are gone or break with it (G-19), among workers of
 * ours, of which another always comes. Programs at addresses: `test/flow/fastcgi-connections.test.ts`.
 */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { FastCgiGateway } from '../../src/fastcgi/gateway.js'
import type { GatewayRequest } from '../../src/gateway.js'
import { silentLogger } from '../../src/log.js'
import type { Address } from '../../src/upstream/address.js'
import { Upstreams } from '../../src/upstream/upstreams.js'
import { record } from '../support/fastcgi-bytes.js'
import { fastCgiRoute, workersOf } from '../support/fastcgi-route.js'
import { type Script, type ScriptedWorker, startWorker } from '../support/fastcgi-worker.js'
import { tempRoot } from '../support/temp-root.js'

function makeRequest(method: string, facts: GatewayRequest['facts'] = {}): GatewayRequest {
  return {
    ...{ id: 'a1', method, target: '/app/x', protocol: 'HTTP/1.1', path: '/app/x', rest: '/x' },
    ...{ query: '', rawHeaders: [], host: 'a.test', tls: false, redirects: 0 },
    remote: { address: '127.0.0.1', port: 1 },
    local: { address: '127.0.0.1', port: 2 },
    body: { length: undefined, stream: undefined, invite: () => {} },
    signal: new AbortController().signal,
    authorized: undefined,
    inform: () => {},
    facts,
  }
}

/** A gateway to workers of ours, named 0, 1, 2…: the next one is there when a request waits for it. */
function gatewayTo(t: Test, addresses: readonly Address[]): FastCgiGateway {
  let count = 0
  const addNext = (): void => {
    const address = addresses[count]
    if (address !== undefined) upstreams.add({ address, capacity: 1, name: String(count++) })
  }
  const upstreams = new Upstreams({
    queue: { length: 9, waitMs: 1_000 },
    supplied: true,
    onWaiting: () => queueMicrotask(addNext),
  })
  addNext()
  const gateway = new FastCgiGateway({
    route: fastCgiRoute('/app/', { backend: workersOf(1) }),
    ...{ upstreams, files: undefined, documentRoot: undefined, serverName: undefined },
    ...{ serverSoftware: 'test', clientBodyMs: 0, log: silentLogger },
  })
  t.teardown(() => gateway.close())
  return gateway
}

/** Asked for its values it answers at once. */
const worker = (t: Test, script: Script): Promise<ScriptedWorker> =>
  startWorker(t, { '/x': script }, { values: socket => void socket.write(record(10, 0)) })

const works: Script = request => request.answer('\r\nfine')
const breaks: Script = request => request.socket.destroy()

t.test('workers that are gone already do not count: any request goes on to the next', async t => {
  const folder = tempRoot(t).path
  const gone = Array.from(
    { length: 6 },
    (_, at): Address => ({ kind: 'unix', path: join(folder, `${at}.sock`) }),
  )
  const last = await worker(t, works)
  const facts: GatewayRequest['facts'] = {}
  const response = await gatewayTo(t, [...gone, last.address]).send(makeRequest('POST', facts))
  t.equal(response.status, 200)
  response.body.cancel()
  t.equal(facts.script, '6', 'the access line names the one that had it')
})

t.test('what breaks workers is given to three of them at most', async t => {
  const broken: ScriptedWorker[] = []
  for (let i = 0; i < 5; i++) broken.push(await worker(t, breaks))
  const seen = (): number => broken.reduce((sum, { requests }) => sum + requests.length, 0)
  const gateway = gatewayTo(
    t,
    broken.map(({ address }) => address),
  )
  await t.rejects(gateway.send(makeRequest('GET')), { code: 'UPSTREAM_CLOSED' })
  t.equal(seen(), 3)
  await t.rejects(gateway.send(makeRequest('POST')), { code: 'UPSTREAM_CLOSED' })
  t.equal(seen(), 4, 'and once when that is not safe')
})

t.test('two that break and one that works: it is answered', async t => {
  const all = [await worker(t, breaks), await worker(t, breaks), await worker(t, works)]
  const gateway = gatewayTo(
    t,
    all.map(({ address }) => address),
  )
  const response = await gateway.send(makeRequest('GET'))
  t.equal(response.status, 200)
  response.body.cancel()
})
