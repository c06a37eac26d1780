/**
 * Requests that wait for a place: first in, first out, and whoever leaves does so at once from anywhere.
 *
 * What grows: one entry per waiting request; `Upstreams` bounds their number. A linked list, because a Set
 * that loses its first element again and again has to be walked over what is gone.
 */
import { GatewayError } from '../errors.js'
import type { LeaveSignal } from '../gateway.js'
import type { Upstream } from './upstream.js'

/** One request in line. */
export interface Waiter<Place> {
  /** Programs that it must not be given. */
  readonly tried: ReadonlySet<Upstream> | undefined
  /** When its wait is over, on the caller's clock. */
  readonly deadline: number
  /** Leaves the line with a place. */
  admit(place: Place): void
  /** Leaves the line without. */
  refuse(error: GatewayError): void
}

interface Entry<Place> extends Waiter<Place> {
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

  get first(): Waiter<Place> | undefined {
    return this.#first
  }

  /** Goes to the end; rejects with CLIENT_LEFT when the signal is aborted, and as whoever refuses it says. */
  join(
    signal: LeaveSignal,
    tried: ReadonlySet<Upstream> | undefined,
    deadline: number,
  ): Promise<Place> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#remove(entry)
        signal.removeEventListener('abort', onAbort)
      }
      const entry: Entry<Place> = {
        tried,
        deadline,
        before: this.#last,
        behind: undefined,
        admit: place => {
          leave()
          resolve(place)
        },
        refuse: error => {
          leave()
          reject(error)
        },
      }
      const onAbort = (): void => entry.refuse(new GatewayError('CLIENT_LEFT'))
      signal.addEventListener('abort', onAbort)
      if (this.#last === undefined) this.#first = entry
      else this.#last.behind = entry
      this.#last = entry
      this.#length++
    })
  }

  /** Gives places from the first on, until `give` has no more at all (`undefined`) or for this one (`null`). */
  serve(give: (tried: Waiter<Place>['tried']) => Place | null | undefined): void {
    for (let entry = this.#first; entry !== undefined; ) {
      const { behind }: Entry<Place> = entry
      const place = give(entry.tried)
      if (place === undefined) return
      if (place !== null) entry.admit(place)
      entry = behind
    }
  }

  /** Refuses those of whom `which` is true, wherever they stand. */
  refuse(which: (waiter: Waiter<Place>) => boolean, why: () => GatewayError): void {
    for (let entry = this.#first; entry !== undefined; ) {
      const { behind }: Entry<Place> = entry
      if (which(entry)) entry.refuse(why())
      entry = behind
    }
  }

  #remove(entry: Entry<Place>): void {
    if (entry.before === undefined) this.#first = entry.behind
    else entry.before.behind = entry.behind
    if (entry.behind === undefined) this.#last = entry.before
    else entry.behind.before = entry.before
    this.#length--
  }
}
