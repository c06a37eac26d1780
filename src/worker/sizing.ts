/**
 * How many workers there should be. Pure; the clock is an argument.
 *
 * Growing looks at what is needed now, shrinking at the most that was needed within the idle time:
 * requests go round among the workers, so no single one of them would ever count as idle. What grows:
 * one number per worker of the largest size seen.
 */
import type { WorkerCount } from './options.js'

/** Workers that `requests` keep busy, when each takes `capacity` at once. */
export function neededWorkers(requests: number, capacity: number): number {
  return Math.ceil(requests / capacity)
}

/** The number to start up to: what is needed and the spare ones, within `min` and `max`. */
export function wantedWorkers({ min, max, spare }: WorkerCount, needed: number): number {
  return Math.max(min, Math.min(max, needed + spare))
}

/** When so and so many workers were needed the last time. */
export class Demand {
  /** Index: a number of workers; value: the time at which so many were needed. */
  readonly #lastNeeded: number[] = []

  /** `needed` workers have something to do at `now`. */
  note(needed: number, now: number): void {
    while (this.#lastNeeded.length <= needed) this.#lastNeeded.push(Number.NEGATIVE_INFINITY)
    this.#lastNeeded[needed] = now
  }

  /** The most workers that were needed at once in the last `windowMs`; the number to shrink to. */
  most(now: number, windowMs: number): number {
    for (let needed = this.#lastNeeded.length - 1; needed > 0; needed--) {
      if (now - (this.#lastNeeded[needed] ?? Number.NEGATIVE_INFINITY) < windowMs) return needed
    }
    return 0
  }
}
