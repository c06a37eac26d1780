/**
 * The programs that are left out, and when the first of them may be tried again.
 *
 * Costs one comparison per request while nobody's time has come, however many there are. At most as many as
 * the route has programs.
 */
import type { Member } from './member.js'

export class Ejected {
  readonly #members = new Set<Member>()
  #next = Number.POSITIVE_INFINITY

  get size(): number {
    return this.#members.size
  }

  /** No later than the time when the first of them may be tried; infinite without any. */
  get next(): number {
    return this.#members.size === 0 ? Number.POSITIVE_INFINITY : this.#next
  }

  has(member: Member): boolean {
    return this.#members.has(member)
  }

  add(member: Member): void {
    this.#next = Math.min(this.next, member.health.until)
    this.#members.add(member)
  }

  delete(member: Member): void {
    this.#members.delete(member)
  }

  /** Takes out those whose time has come. */
  takeDue(now: number): readonly Member[] {
    if (now < this.next) return []
    const due: Member[] = []
    this.#next = Number.POSITIVE_INFINITY
    for (const member of this.#members) {
      if (member.health.until <= now) due.push(member)
      else this.#next = Math.min(this.#next, member.health.until)
    }
    for (const member of due) this.#members.delete(member)
    return due
  }
}
