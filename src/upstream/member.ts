/**
 * One program among the upstreams of a route, with all that is counted and known about it.
 *
 * Written by `Upstreams` only, but for `capacity`, which its owner may change. Bounded: a few numbers.
 */
import { type Address, describeAddress } from './address.js'
import type { Place } from './free-places.js'
import { Health } from './health.js'
import type { Upstream, UpstreamOptions } from './upstream.js'

export class Member implements Upstream, Place {
  readonly address: Address
  readonly name: string
  readonly onReleased: UpstreamOptions['onReleased']
  readonly health = new Health()
  active = 0
  turn = 0
  slot = -1
  #capacity: number
  readonly #onCapacity: (member: Member) => void
  #left: Promise<void> | undefined
  #settle = (): void => {}

  /** @throws RangeError for a capacity that is not a whole number from 1 */
  constructor(options: UpstreamOptions, onCapacity: (member: Member) => void) {
    this.address = options.address
    this.name = options.name ?? describeAddress(options.address)
    this.onReleased = options.onReleased
    this.#capacity = wholeFromOne(options.capacity)
    this.#onCapacity = onCapacity
  }

  get capacity(): number {
    return this.#capacity
  }

  /** @throws RangeError for a capacity that is not a whole number from 1 */
  set capacity(capacity: number) {
    this.#capacity = wholeFromOne(capacity)
    this.#onCapacity(this)
  }

  /** Whether it may be given one more request. */
  get isFree(): boolean {
    return this.#left === undefined && this.active < this.#capacity && this.health.usable
  }

  /** Takes no more requests; settles when those that it has are over. */
  leave(): Promise<void> {
    this.#left ??= new Promise(resolve => {
      this.#settle = resolve
    })
    this.settleIfIdle()
    return this.#left
  }

  settleIfIdle(): void {
    if (this.active === 0) this.#settle()
  }
}

function wholeFromOne(capacity: number): number {
  if (Number.isInteger(capacity) && capacity >= 1) return capacity
  throw new RangeError(`The capacity of an upstream is a whole number from 1, not ${capacity}.`)
}
