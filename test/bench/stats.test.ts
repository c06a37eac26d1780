/**
 * Median, spread and the ratio per round.
 */
import t from 'tap'
import { median, medianRatio, spread } from '../../bench/stats.js'

t.test('median: odd, even, one, unsorted; nothing has none', async t => {
  t.equal(median([3]), 3)
  t.equal(median([9, 1, 5]), 5)
  t.equal(median([10, 2, 4, 8]), 6)
  t.throws(() => median([]), RangeError)
})

t.test('median leaves its argument as it was, and sorts by number', async t => {
  const values = [100, 9, 80]
  t.equal(median(values), 80)
  t.same(values, [100, 9, 80])
})

t.test('spread: median, least, greatest', async t => {
  t.same(spread([4, 1, 7]), { median: 4, min: 1, max: 7 })
})

t.test('the ratio is taken round by round, against the best peer of that round', async t => {
  // Round 2 was disturbed for all: the medians of each would say 100 / 100, the rounds say twice 2 and once 1.
  const own = [200, 20, 100]
  const peers = [
    [100, 5, 100],
    [50, 10, 60],
  ]
  t.equal(medianRatio(own, peers), 2)
})

t.test('a round without a peer is left out; without any peer there is no ratio', async t => {
  t.equal(medianRatio([3, 8], [[1]]), 3)
  t.equal(medianRatio([3, 8], [[0, 0]]), undefined)
  t.equal(medianRatio([3, 8], []), undefined)
})
