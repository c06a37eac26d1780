// How busy workers on a shared socket are, by what is seen of them.
import t from 'tap'
import { lookMs, SharedLoad } from '../../src/worker/shared-load.js'

const worker = (accepting: boolean, seenAccepting = true) => ({
  record: { accepting, seenAccepting },
  look: () => {},
})
const idle = worker(true)
const busy = worker(false)
const unknown = worker(false, false)

t.test('busy are those that were seen idle and are not', async t => {
  t.equal(
    new SharedLoad().needed([idle, busy, unknown, busy], () => false, 0),
    2,
  )
})

t.test('a connection that waits at two looks in a row wants one more worker', async t => {
  const load = new SharedLoad()
  t.equal(
    load.needed([busy], () => true, 0),
    1,
    'once may be chance',
  )
  t.equal(
    load.needed([busy], () => true, lookMs - 1),
    1,
    'no look between looks',
  )
  t.equal(
    load.needed([busy], () => true, lookMs),
    2,
  )
  t.equal(
    load.needed([busy], () => false, 2 * lookMs),
    1,
  )
})

t.test('without a worker, the first connection that waits wants one', async t => {
  t.equal(
    new SharedLoad().needed([], () => true, 0),
    1,
  )
})
