/**
 * The time limits of one run (conventions F-4): one timer for the phase it is in, one for the whole.
 *
 * Phases: `body` while the client sends, `idle` while bytes move between server and program, `firstByte`
 * from the end of the body to the first output. Progress starts the phase's time anew. 0 means no limit.
 */
import { type ErrorCode, GatewayError } from '../errors.js'

/** Milliseconds; 0: none. */
export interface DeadlineTimes {
  readonly bodyMs: number
  readonly firstByteMs: number
  readonly idleMs: number
  readonly totalMs: number
}

export type Phase = 'body' | 'firstByte' | 'idle'

const codes: Record<Phase, ErrorCode> = {
  body: 'BODY_TIMEOUT',
  firstByte: 'FIRST_BYTE_TIMEOUT',
  idle: 'IDLE_TIMEOUT',
}

export class Deadlines {
  readonly #times: DeadlineTimes
  readonly #expired: (error: GatewayError) => void
  readonly #total: NodeJS.Timeout | undefined
  #phase: Phase | undefined
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  /** `expired` is called at most once, unless `stop` comes first. */
  constructor(times: DeadlineTimes, expired: (error: GatewayError) => void) {
    this.#times = times
    this.#expired = expired
    this.#total = this.#start(times.totalMs, 'TOTAL_TIMEOUT')
  }

  /** The phase it is in, once one was entered. */
  get phase(): Phase | undefined {
    return this.#phase
  }

  /** Enters a phase, or starts the time of the one it is in anew. */
  enter(phase: Phase): void {
    if (this.#stopped) return
    if (this.#phase === phase) {
      this.#timer?.refresh()
      return
    }
    clearTimeout(this.#timer)
    this.#phase = phase
    this.#timer = this.#start(this.#times[`${phase}Ms`], codes[phase])
  }

  /** Something moved: the phase's time starts anew. */
  progress(): void {
    this.#timer?.refresh()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    clearTimeout(this.#total)
    this.#timer = undefined
  }

  #start(ms: number, code: ErrorCode): NodeJS.Timeout | undefined {
    if (ms === 0) return undefined
    return setTimeout(() => {
      this.stop()
      this.#expired(new GatewayError(code, `The limit is ${ms} ms.`))
    }, ms)
  }
}
