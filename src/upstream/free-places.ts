/**
 * Programs that have a free place, the least busy one on top: a binary heap whose members know where they
 * are in it.
 *
 * Pure. Taking and giving back costs the logarithm of their number, so idle programs are nearly free. Among
 * equally busy ones the one that was used longest ago comes first.
 */

/** What the order depends on; whoever changes `active`, `capacity` or `turn` calls `moved`. */
export interface Place {
  readonly active: number
  readonly capacity: number
  /** When it was used last: grows with each use of any. */
  readonly turn: number
  /** Index in the heap, -1 outside; written here only. */
  slot: number
}

export class FreePlaces<T extends Place> {
  readonly #heap: T[] = []

  get size(): number {
    return this.#heap.length
  }

  /** The least busy one that was not tried. */
  best(tried: ReadonlySet<unknown> | undefined): T | undefined {
    const top = this.#heap[0]
    if (top === undefined || tried === undefined || !tried.has(top)) return top
    let best: T | undefined
    for (const place of this.#heap) {
      if (!tried.has(place) && (best === undefined || comesBefore(place, best))) best = place
    }
    return best
  }

  /** Puts a place in, takes it out, or moves it to where it belongs now. */
  moved(place: T, isFree: boolean): void {
    if (!isFree) {
      this.#takeOut(place)
      return
    }
    if (place.slot < 0) {
      place.slot = this.#heap.length
      this.#heap.push(place)
    }
    this.#settle(place, place.slot)
  }

  #takeOut(place: T): void {
    const at = place.slot
    if (at < 0) return
    place.slot = -1
    const last = this.#heap.pop()
    if (last !== undefined && last !== place) this.#settle(last, at)
  }

  /** Puts `place` where it belongs, beginning at the free index `start`. */
  #settle(place: T, start: number): void {
    const at = this.#fall(place, this.#rise(place, start))
    this.#heap[at] = place
    place.slot = at
  }

  #rise(place: T, start: number): number {
    let at = start
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = this.#heap[above]
      if (parent === undefined || !comesBefore(place, parent)) break
      this.#heap[at] = parent
      parent.slot = at
      at = above
    }
    return at
  }

  #fall(place: T, start: number): number {
    let at = start
    for (;;) {
      let below = 2 * at + 1
      let child = this.#heap[below]
      if (child === undefined) return at
      const right = this.#heap[below + 1]
      if (right !== undefined && comesBefore(right, child)) {
        child = right
        below++
      }
      if (!comesBefore(child, place)) return at
      this.#heap[at] = child
      child.slot = at
      at = below
    }
  }
}

/** Whether `a` is less busy, for its capacity, than `b`. */
function comesBefore(a: Place, b: Place): boolean {
  const difference = a.active * b.capacity - b.active * a.capacity
  return difference === 0 ? a.turn < b.turn : difference < 0
}
