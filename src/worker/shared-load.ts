/**
 * How busy workers on a shared socket are, whose requests we do not see: by what they do right now.
 *
 * One that was seen waiting in accept and is not there any more is busy. A connection that nobody has
 * accepted at two looks in a row means that all are, or that there is none. Looks cost a read of /proc
 * per worker, and are made at most once in `lookMs`.
 */

/** What is looked at of a worker. */
export interface Looked {
  /** `accepting`: waits in accept now; `seenAccepting`: ever did, others never count as busy. */
  readonly record: { readonly accepting: boolean; readonly seenAccepting: boolean }
  look(): void
}

export const lookMs = 100

export class SharedLoad {
  #lookedAt = Number.NEGATIVE_INFINITY
  #waitedBefore = false
  #needed = 0

  /** Workers that have something to do; one more than there are when connections wait. */
  needed(workers: readonly Looked[], waiting: () => boolean, now: number): number {
    if (now - this.#lookedAt < lookMs) return this.#needed
    this.#lookedAt = now
    for (const worker of workers) worker.look()
    const waits = waiting()
    const busy = workers.filter(({ record }) => record.seenAccepting && !record.accepting)
    const unserved = waits && (this.#waitedBefore || workers.length === 0)
    this.#waitedBefore = waits
    this.#needed = unserved ? workers.length + 1 : busy.length
    return this.#needed
  }
}
