/**
 * A set of things that live for one request: added and removed thousands of times a second.
 *
 * Why not a Set: with each few additions V8 gives it a new table, and the dead ones, once they are old,
 * keep what they held, and one another, alive through every young collection. A list whose places are used
 * again makes no garbage. What grows: to as many places as there were members at once.
 */

/** Where a member is; 0 or more. */
export type Slot = number

export class Slots<T> {
  readonly #members: (T | undefined)[] = []
  readonly #free: Slot[] = []

  get size(): number {
    return this.#members.length - this.#free.length
  }

  /** Adds a member; its place is asked for when it leaves. */
  add(member: T): Slot {
    const slot = this.#free.pop() ?? this.#members.length
    this.#members[slot] = member
    return slot
  }

  /** Who is at a place, or nobody. */
  at(slot: Slot): T | undefined {
    return this.#members[slot]
  }

  /** Takes the member of a place off. A place is given back once. */
  remove(slot: Slot): void {
    this.#members[slot] = undefined
    this.#free.push(slot)
  }

  /** The members, in no order; those that come or go meanwhile may be in it or not. */
  *[Symbol.iterator](): Generator<T> {
    for (let slot = 0; slot < this.#members.length; slot++) {
      const member = this.#members[slot]
      if (member !== undefined) yield member
    }
  }
}
