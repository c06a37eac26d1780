/**
 * Whether a worker that works is due to be replaced all the same: after so many requests, by age, by memory.
 * Pure. The words given back go into the log.
 */
import type { WorkerRecycling } from './options.js'

/** What a worker has behind it. */
export interface WorkerWear {
  readonly requests: number
  /** Its own number, from `requestLimit`. */
  readonly requestLimit: number
  readonly ageMs: number
  /** Resident memory when it was last looked at. */
  readonly memoryBytes: number
}

/** The number of requests of one worker: up to a tenth less, by `random` (0 to 1), so that they differ. */
export function requestLimit({ requests }: WorkerRecycling, random: number): number {
  return requests === 0 ? Number.POSITIVE_INFINITY : requests - Math.floor((random * requests) / 10)
}

/** Why the worker should be replaced, or undefined. */
export function recyclingReason(
  { ageMs, memoryBytes }: WorkerRecycling,
  wear: WorkerWear,
): string | undefined {
  if (wear.requests >= wear.requestLimit) return `after ${wear.requests} requests`
  if (ageMs > 0 && wear.ageMs >= ageMs) return `after ${Math.round(wear.ageMs / 1000)} s`
  if (memoryBytes > 0 && wear.memoryBytes >= memoryBytes) {
    return `at ${Math.round(wear.memoryBytes / 1024 ** 2)} MiB of memory`
  }
  return undefined
}
