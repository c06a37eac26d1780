/**
 * Latencies of a round as counts per bucket: memory is bounded however long the round is.
 *
 * The layout is that of an HDR histogram: from 0 to 2047 µs one bucket per microsecond, above that 1024 buckets
 * per doubling, so a value read back is at most 0.1 % too great. Times beyond `longestUs` count as that. Pure.
 */

const linearBits = 11
const linearBuckets = 2 ** linearBits
const perDoubling = linearBuckets / 2

/** A bit more than nineteen hours: longer than any round may last. */
const longestUs = 2 ** 36 - 1

const bucketCount = linearBuckets + perDoubling * (36 - linearBits)

export class Latencies {
  readonly #counts = new Uint32Array(bucketCount)
  #count = 0

  /** How many were added. */
  get count(): number {
    return this.#count
  }

  /** Adds one, in milliseconds; what is negative or no number counts as 0. */
  add(ms: number): void {
    const bucket = bucketOf(Math.min(longestUs, Math.round(ms * 1000)))
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#count++
  }

  /**
   * The time that this share (0 to 1) of all stayed within, in milliseconds: the nearest rank, so p99 of fewer
   * than a hundred is the greatest. Undefined when there are none.
   */
  within(share: number): number | undefined {
    if (this.#count === 0) return undefined
    const rank = Math.max(1, Math.ceil(share * this.#count))
    let seen = 0
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      seen += this.#counts[bucket] ?? 0
      if (seen >= rank) return greatestOf(bucket) / 1000
    }
    return longestUs / 1000
  }
}

function bucketOf(us: number): number {
  if (!(us > 0)) return 0
  if (us < linearBuckets) return us
  const doublings = Math.floor(Math.log2(us)) - linearBits + 1
  const inside = Math.floor(us / 2 ** doublings) - perDoubling
  return linearBuckets + (doublings - 1) * perDoubling + inside
}

/** The greatest time of a bucket, in microseconds. */
function greatestOf(bucket: number): number {
  if (bucket < linearBuckets) return bucket
  const above = bucket - linearBuckets
  const doublings = Math.floor(above / perDoubling) + 1
  return (perDoubling + (above % perDoubling) + 1) * 2 ** doublings - 1
}
