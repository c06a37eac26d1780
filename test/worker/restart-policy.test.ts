// When a worker that ended is started again, with a clock of the test's own.
import t from 'tap'
import {
  afterEnd,
  noHistory,
  type RestartHistory,
  type WorkerEnd,
} from '../../src/worker/restart-policy.js'

const end = (startedAt: number, endedAt: number, more: Partial<WorkerEnd> = {}): WorkerEnd => ({
  startedAt,
  endedAt,
  onPurpose: false,
  answered: false,
  ...more,
})

/** Delays of a loop: each worker is started as soon as it may be and lives `livedMs`. */
function delays(count: number, livedMs: number): number[] {
  let history: RestartHistory = noHistory
  let now = 0
  return Array.from({ length: count }, () => {
    history = afterEnd(history, end(now, now + livedMs))
    const delay = history.notBefore - (now + livedMs)
    now = history.notBefore
    return delay
  })
}

t.test('a crash loop: 100 ms, doubling, at most 30 s', async t => {
  t.same(delays(12, 5), [
    ...[100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600],
    ...[30_000, 30_000, 30_000],
  ])
  t.equal(delays(2_000, 5).at(-1), 30_000, 'however long it goes on')
})

t.test('one that lived 10 s ends the series, one a millisecond less does not', async t => {
  t.same(delays(3, 9_999), [100, 200, 400])
  t.same(delays(3, 10_000), [100, 100, 100])
})

t.test('one that has answered ends the series: the program works', async t => {
  let history = afterEnd(noHistory, end(0, 5))
  history = afterEnd(history, end(105, 110))
  t.equal(history.crashes, 2)
  history = afterEnd(history, end(310, 320, { answered: true }))
  t.equal(history.notBefore, 420)
})

t.test('workers of one start that crash together count once', async t => {
  let history = afterEnd(noHistory, end(0, 50))
  for (const endedAt of [51, 52, 60]) history = afterEnd(history, end(0, endedAt))
  t.same(history, { crashes: 1, crashedAt: 50, notBefore: 150 })
})

t.test('G-24: an end on purpose is no crash', async t => {
  t.same(afterEnd(noHistory, end(0, 5, { onPurpose: true })), noHistory)
})
