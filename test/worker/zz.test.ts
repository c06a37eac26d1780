import t from 'tap'
import type { Lease } from '../../src/upstream/upstreams.js'
import { within } from '../support/wait-for.js'
import { lineWorkers } from './line-workers.js'
const forever = new AbortController().signal
t.test('on demand: none at first, as many as wait up to max, none again after idleMs', async t => {
  const { supervisor, upstreams, pids, settled } = await lineWorkers(t, {
    count: { min: 0, max: 2, spare: 0, idleMs: 200 },
  })
  await within('started', supervisor.start())
  t.same(supervisor.workers, [])
  const leases: Lease[] = await Promise.all(
    [1, 2, 3].map(() => upstreams.enter(forever)).slice(0, 2),
  )
  t.equal(pids().length, 2, 'two for two')
  const third = Promise.resolve(upstreams.enter(forever))
  t.equal(supervisor.workers.length, 2, 'never more than max')
  for (const lease of leases) lease.release('answered')
  ;(await third).release('answered')
  await settled(0).catch(e => { console.log(JSON.stringify(supervisor.workers), upstreams.active, upstreams.waiting); throw e })
})
