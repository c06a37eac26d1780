// How many workers: the arithmetic, with a clock of the test's own.
import t from 'tap'
import { Demand, neededWorkers, wantedWorkers } from '../../src/worker/sizing.js'

const count = { min: 1, max: 4, spare: 1, idleMs: 1_000 }

t.test('needed: requests by what one worker takes', async t => {
  t.same(
    [0, 1, 2, 3, 8, 9].map(requests => neededWorkers(requests, 2)),
    [0, 1, 1, 2, 4, 5],
  )
})

t.test('wanted: needed and spare, within min and max', async t => {
  t.same(
    [0, 1, 2, 3, 4, 100].map(needed => wantedWorkers(count, needed)),
    [1, 2, 3, 4, 4, 4],
  )
  t.equal(wantedWorkers({ ...count, min: 0, spare: 0 }, 0), 0, 'on demand')
  t.equal(wantedWorkers({ ...count, min: 4 }, 0), 4, 'static')
})

t.test('demand: the most at once within the window', async t => {
  const demand = new Demand()
  t.equal(demand.most(0, 1_000), 0)
  demand.note(3, 0)
  demand.note(1, 10)
  t.equal(demand.most(999, 1_000), 3)
  t.equal(demand.most(1_000, 1_000), 1, 'three were needed too long ago')
  t.equal(demand.most(1_010, 1_000), 0)
  demand.note(2, 1_500)
  demand.note(0, 1_501)
  t.equal(demand.most(2_000, 1_000), 2)
})
