/**
 * The requests of one gateway that have begun and are not over, and the wait for the last of them.
 *
 * What grows: one entry per request, bounded by the capacities of the upstreams and the length of their queue.
 */
import { GatewayError } from '../errors.js'
import { type Slot, Slots } from '../slots.js'

/** One of them. */
export interface Run {
  /** Ends it: refuses the head, or breaks the body off. */
  fail(error: GatewayError): void
}

export class Runs {
  readonly #runs = new Slots<Run>()
  #lastOver: () => void = () => {}

  /** @returns what `remove` wants */
  add(run: Run): Slot {
    return this.#runs.add(run)
  }

  /** It is over: all that it had is given back. */
  remove(slot: Slot): void {
    this.#runs.remove(slot)
    if (this.#runs.size === 0) this.#lastOver()
  }

  /** The server is going down. */
  failAll(): void {
    for (const run of this.#runs) run.fail(new GatewayError('DRAINING'))
  }

  /** Fails all of them; settles when none is left, or after `graceMs`. */
  async drain(graceMs: number): Promise<void> {
    this.failAll()
    if (this.#runs.size === 0) return
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, graceMs)
      this.#lastOver = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
