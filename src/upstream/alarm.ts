/**
 * One timer that rings at the earliest of the times it is given: cheaper than one per request in line.
 *
 * May ring too early (the time that it was set for is not wanted any more, or the clock is not the timer's):
 * who is woken looks at the clock and sets it again. Holds one time.
 */

const longestMs = 2 ** 31 - 1

export class Alarm {
  readonly #now: () => number
  readonly #ring: () => void
  #timer: NodeJS.Timeout | undefined
  #at = Number.POSITIVE_INFINITY

  constructor(now: () => number, ring: () => void) {
    this.#now = now
    this.#ring = ring
  }

  /** Rings at `at` or sooner; infinite: not because of this. */
  set(at: number): void {
    if (at >= this.#at) return
    this.stop()
    this.#at = at
    const inMs = Math.min(Math.max(1, Math.ceil(at - this.#now())), longestMs)
    // Who waits has a connection, which keeps the process alive.
    this.#timer = setTimeout(this.#rung, inMs).unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#at = Number.POSITIVE_INFINITY
  }

  readonly #rung = (): void => {
    this.#at = Number.POSITIVE_INFINITY
    this.#ring()
  }
}
