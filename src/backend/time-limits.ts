/**
 * The time limits of many requests with one timer for all of them (conventions F-4).
 *
 * A timer per request and phase costs more than the rest of its bookkeeping. Here a request notes when it
 * moved last, and one interval looks at all that run: a limit passes up to an interval late, never early.
 * What grows: one entry per running request.
 */
import type { Phase } from '../cgi/deadlines.js'
import { type ErrorCode, GatewayError } from '../errors.js'
import { type Slot, Slots } from '../slots.js'

/** Milliseconds; 0: none. */
export interface Limits {
  readonly bodyMs: number
  readonly firstByteMs: number
  readonly idleMs: number
  readonly totalMs: number
  readonly graceMs: number
}

/** Something that is looked at from time to time. */
export interface Timed {
  check(now: number): void
}

const longestMs = 100
const shortestMs = 5

/** Looks at those who run. */
export class TimeKeeper {
  readonly #running = new Slots<Timed>()
  readonly #everyMs: number
  #timer: NodeJS.Timeout | undefined

  /** Looks often enough for the shortest of the limits. */
  constructor(limits: Limits) {
    const shortest = Math.min(...Object.values(limits).filter(ms => ms > 0))
    this.#everyMs = Math.max(shortestMs, Math.min(longestMs, shortest / 4))
  }

  /** @returns what `remove` wants */
  add(timed: Timed): Slot {
    this.#timer ??= setInterval(this.#look, this.#everyMs)
    return this.#running.add(timed)
  }

  remove(slot: Slot): void {
    this.#running.remove(slot)
  }

  readonly #look = (): void => {
    if (this.#running.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
      return
    }
    const now = performance.now()
    for (const timed of this.#running) timed.check(now)
  }
}

const codes: Record<Phase, ErrorCode> = {
  body: 'BODY_TIMEOUT',
  firstByte: 'FIRST_BYTE_TIMEOUT',
  idle: 'IDLE_TIMEOUT',
}

/** The limits of one request; phases are those of `cgi/deadlines.ts`. */
export class TimeLimits {
  readonly #limits: Limits
  readonly #started: number
  #phase: Phase | undefined
  #since: number
  #sawOutput = false

  constructor(limits: Limits, now: number) {
    this.#limits = limits
    this.#started = now
    this.#since = now
  }

  get phase(): Phase | undefined {
    return this.#phase
  }

  /** Enters a phase, or starts the time of the one it is in anew. */
  enter(phase: Phase): void {
    this.#phase = phase
    this.#since = performance.now()
  }

  /** Something moved: the phase's time starts anew. */
  progress(): void {
    this.#since = performance.now()
  }

  /** All of the body is with the application, or it wants no more: its answer is due. */
  bodyDone(): void {
    this.enter(this.#sawOutput ? 'idle' : 'firstByte')
  }

  get sawOutput(): boolean {
    return this.#sawOutput
  }

  /** Something of the answer came; true the first time. */
  output(): boolean {
    const isFirst = !this.#sawOutput
    this.#sawOutput = true
    // While a body is still coming it is the client who is waited for.
    if (isFirst && this.#phase !== 'body') this.enter('idle')
    else this.progress()
    return isFirst
  }

  /** The limit that has passed. */
  expired(now: number): GatewayError | undefined {
    const { totalMs } = this.#limits
    if (totalMs > 0 && now - this.#started >= totalMs) return late('TOTAL_TIMEOUT', totalMs)
    if (this.#phase === undefined) return undefined
    const ms = this.#limits[`${this.#phase}Ms`]
    return ms > 0 && now - this.#since >= ms ? late(codes[this.#phase], ms) : undefined
  }
}

function late(code: ErrorCode, ms: number): GatewayError {
  return new GatewayError(code, `The limit is ${ms} ms.`)
}
