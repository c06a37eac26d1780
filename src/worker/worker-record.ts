/**
 * What a worker has behind it: requests, failures in a row, memory, and whether it was seen idle.
 *
 * Counted on every request, so it only adds numbers; /proc is looked at once in a while.
 */
import type { Outcome } from '../upstream/upstreams.js'
import type { WorkerRecycling } from './options.js'
import { isAccepting, residentBytes } from './process-facts.js'
import { recyclingReason } from './recycling.js'

/** A worker that fails so many requests in a row is of no use, though its process lives. */
export const mostFailures = 3
const betweenSamplesMs = 1_000

export class WorkerRecord {
  readonly startedAt: number
  readonly #recycling: WorkerRecycling
  readonly #requestLimit: number
  #requests = 0
  #answered = 0
  #failures = 0
  #memoryBytes = 0
  #sampledAt: number
  #accepting = false
  #seenAccepting = false

  constructor(recycling: WorkerRecycling, requestLimit: number, startedAt: number) {
    this.#recycling = recycling
    this.#requestLimit = requestLimit
    this.startedAt = startedAt
    this.#sampledAt = startedAt
  }

  /** Requests that are over. */
  get requests(): number {
    return this.#requests
  }

  /** It has answered a request. */
  get hasAnswered(): boolean {
    return this.#answered > 0
  }

  /** It failed request after request. */
  get isUseless(): boolean {
    return this.#failures >= mostFailures
  }

  /** It waited in accept when it was looked at. */
  get accepting(): boolean {
    return this.#accepting
  }

  /** It was ever seen waiting there. */
  get seenAccepting(): boolean {
    return this.#seenAccepting
  }

  /** A request is over. */
  count(outcome: Outcome): void {
    this.#requests++
    if (outcome === 'failed') this.#failures++
    else this.#failures = 0
    if (outcome === 'answered') this.#answered++
  }

  /** Looks whether it waits in accept. */
  look(pid: number): void {
    this.#accepting = isAccepting(pid)
    this.#seenAccepting ||= this.#accepting
  }

  /** Why it is due to be replaced, or undefined. */
  reasonToReplace(pid: number, now: number): string | undefined {
    if (this.#recycling.memoryBytes > 0 && now - this.#sampledAt >= betweenSamplesMs) {
      this.#sampledAt = now
      this.#memoryBytes = residentBytes(pid)
    }
    return recyclingReason(this.#recycling, {
      requests: this.#requests,
      requestLimit: this.#requestLimit,
      ageMs: now - this.startedAt,
      memoryBytes: this.#memoryBytes,
    })
  }

  /** Whether `reasonToReplace` may say something new: cheap, for the end of every request. */
  isWorn(now: number): boolean {
    if (this.#requests >= this.#requestLimit) return true
    return this.#recycling.memoryBytes > 0 && now - this.#sampledAt >= betweenSamplesMs
  }
}
