/**
 * Requests that wait for a place: first in, first out, and whoever leaves does so at once from anywhere.
 *
 * What grows: one entry per waiting request; `Upstreams` bounds their number. A linked list, because a Set
 * that loses its first element again and again has to be walked over what is gone.
 */
import { GatewayError } from '../errors.js'
import type { LeaveSignal } from '../gateway.js'
import type { Upstream } from './upstream.js'

/** Who waits: one of the two is called, once, when it has left the line. */
export interface Taker<Place> {
  admit(place: Place): void
  refuse(error: GatewayError): void
}

/** One request in line. */
export interface Waiter {
  /** Programs that it must not be given. */
  readonly tried: ReadonlySet<Upstream> | undefined
  /** When its wait is over, on the caller's clock. */
  readonly deadline: number
}

interface Entry<Place> extends Waiter {
  readonly taker: Taker<Place>
  readonly signal: LeaveSignal
  readonly onAbort: () => void
  before: Entry<Place> | undefined
  behind: Entry<Place> | undefined
}

export class Line<Place> {
  #first: Entry<Place> | undefined
  #last: Entry<Place> | undefined
  #length = 0

  get length(): number {
    return this.#length
  }

  get first(): Waiter | undefined {
    return this.#first
  }

  /** Goes to the end; is refused with CLIENT_LEFT when the signal is aborted. */
  join(
    signal: LeaveSignal,
    tried: ReadonlySet<Upstream> | undefined,
    deadline: number,
    taker: Taker<Place>,
  ): void {
    const entry: Entry<Place> = {
      tried,
      deadline,
      taker,
      signal,
      onAbort: () => {
        this.#remove(entry)
        taker.refuse(new GatewayError('CLIENT_LEFT'))
      },
      before: this.#last,
      behind: undefined,
    }
    signal.addEventListener('abort', entry.onAbort)
    if (this.#last === undefined) this.#first = entry
    else this.#last.behind = entry
    this.#last = entry
    this.#length++
  }

  /**
   * Takes the first one off that `give` has a place for, and answers both; undefined when `give` has no more
   * at all (it answers `undefined`; `null` is none for this one).
   */
  next(
    give: (tried: Waiter['tried']) => Place | null | undefined,
  ): { readonly taker: Taker<Place>; readonly place: Place } | undefined {
    for (let entry = this.#first; entry !== undefined; entry = entry.behind) {
      const place = give(entry.tried)
      if (place === undefined) return undefined
      if (place === null) continue
      this.#remove(entry)
      return { taker: entry.taker, place }
    }
    return undefined
  }

  /** Refuses those of whom `which` is true, wherever they stand. */
  refuse(which: (waiter: Waiter) => boolean, why: () => GatewayError): void {
    const refused: Taker<Place>[] = []
    for (let entry = this.#first; entry !== undefined; entry = entry.behind) {
      if (!which(entry)) continue
      this.#remove(entry)
      refused.push(entry.taker)
    }
    for (const taker of refused) taker.refuse(why())
  }

  #remove(entry: Entry<Place>): void {
    entry.signal.removeEventListener('abort', entry.onAbort)
    if (entry.before === undefined) this.#first = entry.behind
    else entry.before.behind = entry.behind
    if (entry.behind === undefined) this.#last = entry.before
    else entry.behind.before = entry.before
    this.#length--
  }
}
