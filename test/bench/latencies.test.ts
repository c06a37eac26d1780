/**
 * Percentiles out of buckets: exact where they must be, within 0.1 % everywhere.
 */
import fc from 'fast-check'
import t from 'tap'
import { Latencies } from '../../src/bench/latencies.js'

function of(...ms: readonly number[]): Latencies {
  const latencies = new Latencies()
  for (const each of ms) latencies.add(each)
  return latencies
}

t.test('nothing has no percentile', async t => {
  t.equal(of().within(0.5), undefined)
  t.equal(of().count, 0)
})

t.test('microseconds are exact below two milliseconds', async t => {
  for (const ms of [0, 0.001, 0.5, 1.999, 2.047]) t.equal(of(ms).within(1), ms)
  t.equal(of(0.0014).within(1), 0.001, 'rounded to microseconds')
})

t.test('the nearest rank, counted by hand', async t => {
  const hundred = of(...Array.from({ length: 100 }, (_, index) => (index + 1) / 1000))
  t.equal(hundred.count, 100)
  t.equal(hundred.within(0), 0.001)
  t.equal(hundred.within(0.01), 0.001)
  t.equal(hundred.within(0.5), 0.05)
  t.equal(hundred.within(0.99), 0.099)
  t.equal(hundred.within(0.991), 0.1)
  t.equal(hundred.within(1), 0.1)
  t.equal(of(0.001, 0.002, 0.003).within(0.99), 0.003, 'p99 of a few is the greatest')
})

t.test('one in a hundred at 500 ms shows above p99 only', async t => {
  const latencies = of(
    ...Array.from({ length: 1000 }, (_, index) => (index % 100 === 0 ? 500 : 20)),
  )
  t.ok(Math.abs((latencies.within(0.99) ?? 0) - 20) < 0.02)
  t.ok(Math.abs((latencies.within(0.995) ?? 0) - 500) < 0.5)
})

t.test('a time is read back at most 0.1 % too great, never too small', async _t => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 36 - 1 }), us => {
      const read = Math.round((of(us / 1000).within(1) ?? -1) * 1000)
      return read >= us && read <= us * 1.001
    }),
    { examples: [[2047], [2048], [2049], [4095], [4096], [2 ** 36 - 1], [2 ** 36 - 2 ** 24]] },
  )
})

t.test('what is no time counts as 0, what is too long as the longest', async t => {
  t.equal(of(-1).within(1), 0)
  t.equal(of(Number.NaN).within(1), 0)
  const longest = (2 ** 36 - 1) / 1000
  t.equal(of(2 ** 40).within(1), longest)
  t.equal(of(Number.POSITIVE_INFINITY).within(1), longest)
})
