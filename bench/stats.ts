/**
 * The few numbers a comparison needs: median, spread, and the ratio to the best peer round by round.
 *
 * Pure functions over plain arrays. May grow: another way to sum up a list of samples. Not: anything that
 * knows where the numbers came from.
 */

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** The middle of the values, the mean of the two middle ones for an even count; throws RangeError on an empty list. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle]
  if (upper === undefined) throw new RangeError('median of nothing')
  const lower = sorted.length % 2 === 0 ? (sorted[middle - 1] ?? upper) : upper
  return (lower + upper) / 2
}

/** Median, least and greatest; throws RangeError on an empty list. */
export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/**
 * How a contender did against the best of its peers: each round's ratio first, then their median, so that a
 * round disturbed from outside weighs on both sides. `peers` is one list of values per peer, in the order
 * of rounds; rounds in which no peer has a value are left out. Undefined when none is left.
 */
export function medianRatio(
  own: readonly number[],
  peers: readonly (readonly number[])[],
): number | undefined {
  const ratios: number[] = []
  for (const [round, value] of own.entries()) {
    const best = Math.max(0, ...peers.map(peer => peer[round] ?? 0))
    if (best > 0) ratios.push(value / best)
  }
  return ratios.length === 0 ? undefined : median(ratios)
}
