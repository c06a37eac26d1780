/**
 * The programs behind one route: which of them takes a request, and who waits for one (design §4, "the
 * gateway is the queue").
 *
 * Never more requests at a program than its capacity; the rest wait here, first in, first out, with the
 * bounds of `queue`. Least busy first. One that fails is left out for a while (passive ejection), longer
 * each time, then tried with one request. Knows no protocol; takes the clock as an argument.
 */
import { GatewayError } from '../errors.js'
import type { LeaveSignal } from '../gateway.js'
import { Alarm } from './alarm.js'
import { Ejected } from './ejected.js'
import { FreePlaces } from './free-places.js'
import type { Change } from './health.js'
import { Line, type Taker } from './line.js'
import { Member } from './member.js'
import type { Lease, Outcome, Upstream, UpstreamOptions } from './upstream.js'

export type { Lease, Outcome, Upstream, UpstreamOptions } from './upstream.js'

export interface UpstreamsOptions {
  readonly queue: { readonly length: number; readonly waitMs: number }
  /** Programs come and go by themselves: with none there, requests wait in line. Default false: they fail. */
  readonly supplied?: boolean
  /** Called when a request has to wait, with the number of those in line: more programs might help. */
  readonly onWaiting?: (waiting: number) => void
  /** A program was left out, or is back. */
  readonly onHealth?: (upstream: Upstream, state: 'ejected' | 'back', forMs: number) => void
  /** Milliseconds, monotonic; default performance.now. */
  readonly now?: () => number
}

export class Upstreams {
  readonly #options: UpstreamsOptions
  readonly #now: () => number
  readonly #members = new Set<Member>()
  /** The ejected ones among them. */
  readonly #out = new Ejected()
  readonly #free = new FreePlaces<Member>()
  readonly #line = new Line<Lease>()
  #active = 0
  #turn = 0
  #closed = false
  /** One for all who wait: their limits of time and the returns of ejected programs. */
  readonly #alarm: Alarm

  constructor(options: UpstreamsOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#alarm = new Alarm(this.#now, this.#wake)
  }

  /** Requests at programs, those that were removed included. */
  get active(): number {
    return this.#active
  }

  /** Requests in line. */
  get waiting(): number {
    return this.#line.length
  }

  get members(): readonly Upstream[] {
    return [...this.#members]
  }

  /** One more program; the line moves on. @throws RangeError for a capacity that is not a whole number from 1 */
  add(options: UpstreamOptions): Upstream {
    const member = new Member(options, this.#capacityChanged)
    member.turn = ++this.#turn
    this.#members.add(member)
    this.#capacityChanged(member)
    return member
  }

  /** Gives it no more requests; settles when those that it has are over. */
  remove(upstream: Upstream): Promise<void> {
    if (!(upstream instanceof Member)) return Promise.resolve()
    const left = upstream.leave()
    if (!this.#members.delete(upstream)) return left
    this.#out.delete(upstream)
    this.#free.moved(upstream, false)
    this.#pardonOnly()
    this.#refuseHopeless()
    this.#serve()
    return left
  }

  /**
   * A place at the least busy program; `tried` are programs that it must not be. Answers undefined when the
   * request has to wait, and calls `taker` when its turn has come, within the call that gave the place back: so
   * the program gets its next request before anything else is done. Who waits may be refused with QUEUE_TIMEOUT,
   * DRAINING, CLIENT_LEFT when the signal is aborted, or UPSTREAMS_EJECTED.
   * @throws GatewayError QUEUE_FULL, DRAINING, CLIENT_LEFT, and UPSTREAMS_EJECTED when no program is left to
   * wait for (never with `supplied`: another will come)
   */
  ask(
    signal: LeaveSignal,
    tried: ReadonlySet<Upstream> | undefined,
    taker: Taker<Lease>,
  ): Lease | undefined {
    if (this.#closed) throw new GatewayError('DRAINING')
    if (signal.aborted) throw new GatewayError('CLIENT_LEFT')
    this.#bringBack()
    const member = this.#free.best(tried)
    if (member !== undefined) return this.#lend(member)
    this.#wait(signal, tried, taker)
    return undefined
  }

  /** Whether there is a program that was not tried and is not ejected, busy or not. */
  hasOther(tried: ReadonlySet<Upstream>): boolean {
    this.#bringBack()
    return this.#hasOther(tried)
  }

  /** Refuses everybody in line and everybody to come; requests at programs go on. */
  close(): void {
    this.#closed = true
    this.#alarm.stop()
    this.#line.refuse(
      () => true,
      () => new GatewayError('DRAINING'),
    )
  }

  readonly #capacityChanged = (member: Member): void => {
    this.#free.moved(member, member.isFree)
    this.#serve()
  }

  #hasOther(tried: ReadonlySet<Upstream> | undefined): boolean {
    if (tried === undefined || tried.size === 0) return this.#out.size < this.#members.size
    for (const member of this.#members) {
      if (!tried.has(member) && !this.#out.has(member)) return true
    }
    return false
  }

  #wait(signal: LeaveSignal, tried: ReadonlySet<Upstream> | undefined, taker: Taker<Lease>): void {
    const { queue, supplied, onWaiting } = this.#options
    if (supplied !== true && !this.#hasOther(tried)) {
      throw new GatewayError('UPSTREAMS_EJECTED', this.#whyNone())
    }
    if (this.#line.length >= queue.length) {
      throw new GatewayError('QUEUE_FULL', `${this.#active} run and ${queue.length} wait.`)
    }
    const deadline = queue.waitMs > 0 ? this.#now() + queue.waitMs : Number.POSITIVE_INFINITY
    this.#line.join(signal, tried, deadline, taker)
    this.#arm()
    onWaiting?.(this.#line.length)
  }

  #lend(member: Member): Lease {
    const ticket = member.health.begin()
    member.turn = ++this.#turn
    member.active++
    this.#active++
    this.#free.moved(member, member.isFree)
    let held = true
    return {
      upstream: member,
      release: (outcome, request = '') => {
        if (!held) return
        held = false
        this.#release(member, ticket, outcome, request)
      },
    }
  }

  #release(member: Member, ticket: number, outcome: Outcome, request: string): void {
    member.active--
    this.#active--
    const change = this.#judge(member, ticket, outcome)
    this.#free.moved(member, member.isFree)
    member.settleIfIdle()
    if (change !== undefined) this.#tellHealth(member, change)
    // Before the line moves on: an owner that removes a stuck program here keeps the next request from it.
    member.onReleased?.(outcome, request)
    this.#serve()
  }

  #judge(member: Member, ticket: number, outcome: Outcome): Change {
    const { health } = member
    if (outcome === 'answered' && health.standing === 'in') return undefined
    // Without another one, each request is tried and gets its own answer.
    if (this.#members.size === 1 || !this.#members.has(member)) return undefined
    const change = health.judge(outcome, ticket, this.#now())
    if (change !== 'ejected') return change
    this.#out.add(member)
    this.#refuseHopeless()
    return change
  }

  #tellHealth(member: Member, change: 'ejected' | 'back'): void {
    const forMs = change === 'back' ? 0 : member.health.until - this.#now()
    this.#options.onHealth?.(member, change, forMs)
  }

  /** Those whose time has come may be tried with one request each. */
  #bringBack(): void {
    if (this.#out.size === 0) return
    const due = this.#out.takeDue(this.#now())
    if (due.length === 0) return
    for (const member of due) {
      member.health.halfOpen()
      this.#free.moved(member, member.isFree)
    }
    this.#serve()
  }

  /** The only one left is never ejected. */
  #pardonOnly(): void {
    if (this.#members.size !== 1) return
    const [only] = this.#members
    if (only?.health.pardon() !== 'back') return
    this.#out.delete(only)
    this.#free.moved(only, only.isFree)
    this.#tellHealth(only, 'back')
  }

  /** Gives free places to those in line. Who is admitted may give its place back at once: then this goes on. */
  #serve(): void {
    while (this.#line.length > 0) {
      const next = this.#line.next(this.#place)
      if (next === undefined) break
      next.taker.admit(next.place)
    }
    this.#arm()
  }

  readonly #place = (tried: ReadonlySet<Upstream> | undefined): Lease | null | undefined => {
    if (this.#free.size === 0) return undefined
    const member = this.#free.best(tried)
    return member === undefined ? null : this.#lend(member)
  }

  #refuseHopeless(): void {
    if (this.#options.supplied === true || this.#line.length === 0) return
    this.#line.refuse(
      waiter => !this.#hasOther(waiter.tried),
      () => new GatewayError('UPSTREAMS_EJECTED', this.#whyNone()),
    )
  }

  #whyNone(): string {
    return `${this.#out.size} of ${this.#members.size} are left out after failures.`
  }

  #arm(): void {
    const { first } = this.#line
    if (first !== undefined) this.#alarm.set(Math.min(first.deadline, this.#out.next))
  }

  readonly #wake = (): void => {
    this.#bringBack()
    const now = this.#now()
    this.#line.refuse(
      waiter => waiter.deadline <= now,
      () => new GatewayError('QUEUE_TIMEOUT', `It waited ${this.#options.queue.waitMs} ms.`),
    )
    this.#arm()
  }
}
