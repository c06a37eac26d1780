/**
 * Whether one program may be given requests: passive ejection with back-off, and the way back.
 *
 * Pure: outcomes and the time go in, a standing comes out. One failure is enough, since a request that is
 * safe to repeat goes to another program anyway. Outcomes of requests that were given before the last
 * ejection say nothing new: eight that break together are one failure.
 */
import type { Outcome } from './upstream.js'

/** First time a program is left out; each further failure in a row doubles it. */
export const firstEjectionMs = 1_000
export const longestEjectionMs = 30_000
/** A program that says it is overloaded rests for so long; that does not grow. */
export const overloadedMs = 1_000

/**
 * `in`: takes requests. `out`: left out until its time has come. `halfOpen`: takes one request. `probing`: it has
 * that one, and takes no other until it is over.
 */
export type Standing = 'in' | 'out' | 'halfOpen' | 'probing'

/** What an outcome changed. */
export type Change = 'ejected' | 'back' | undefined

export class Health {
  #standing: Standing = 'in'
  /** When `out` ends, on the clock of `now`. */
  #until = 0
  /** How long the last failure left it out; 0 after an answer. */
  #backOffMs = 0
  #ejections = 0

  get standing(): Standing {
    return this.#standing
  }

  get until(): number {
    return this.#until
  }

  /** Whether it may be given a request, as far as its health goes. */
  get usable(): boolean {
    return this.#standing === 'in' || this.#standing === 'halfOpen'
  }

  /** A request is given to it: the answer goes to `judge` with the outcome of that request. */
  begin(): number {
    if (this.#standing === 'halfOpen') this.#standing = 'probing'
    return this.#ejections
  }

  /** The request that `begin` gave `ticket` for is over. */
  judge(outcome: Outcome, ticket: number, now: number): Change {
    if (ticket !== this.#ejections) return undefined
    switch (outcome) {
      case 'answered':
        return this.pardon()
      case 'overloaded':
        return this.#eject(now, overloadedMs)
      case 'failed':
      case 'stuck':
        this.#backOffMs =
          this.#backOffMs === 0 ? firstEjectionMs : Math.min(this.#backOffMs * 2, longestEjectionMs)
        return this.#eject(now, this.#backOffMs)
      default:
        return outcome satisfies never
    }
  }

  /** Its time has come: one request may try it. */
  halfOpen(): void {
    if (this.#standing === 'out') this.#standing = 'halfOpen'
  }

  /** Forgets what there was against it. */
  pardon(): Change {
    this.#backOffMs = 0
    if (this.#standing === 'in') return undefined
    this.#standing = 'in'
    return 'back'
  }

  #eject(now: number, forMs: number): Change {
    this.#standing = 'out'
    this.#until = now + forMs
    this.#ejections++
    return 'ejected'
  }
}
