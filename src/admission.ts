/**
 * So many at once, the rest wait in line: every gateway asks here before it starts work.
 *
 * First in, first out; the line has a length and a longest wait, and whoever leaves it gives up the
 * place at once. What grows: one entry per waiting request, at most `length`. Knows no protocol.
 */
import { GatewayError } from './errors.js'
import type { LeaveSignal } from './gateway.js'

export interface AdmissionOptions {
  /** At once. */
  readonly places: number
  /** Waiting. */
  readonly length: number
  /** Longest wait in milliseconds; 0: none. */
  readonly waitMs: number
}

/** Gives the place back; a second call does nothing. */
export type Release = () => void

interface Waiter {
  readonly admit: (release: Release) => void
  readonly refuse: (error: GatewayError) => void
}

export class Admission {
  readonly #options: AdmissionOptions
  /** Insertion order is the order of service, and leaving from the middle is cheap. */
  readonly #line = new Set<Waiter>()
  #taken = 0
  #closed = false

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  /** Places taken. */
  get active(): number {
    return this.#taken
  }

  /** Requests in line. */
  get waiting(): number {
    return this.#line.size
  }

  /**
   * Takes a place, at once or when it is our turn.
   * @throws GatewayError QUEUE_FULL, QUEUE_TIMEOUT, DRAINING, or CLIENT_LEFT when the signal is aborted.
   */
  enter(signal: LeaveSignal): Release | Promise<Release> {
    if (this.#closed) throw new GatewayError('DRAINING')
    if (signal.aborted) throw new GatewayError('CLIENT_LEFT')
    if (this.#taken < this.#options.places) return this.#take()
    const { length, waitMs } = this.#options
    if (this.#line.size >= length) {
      throw new GatewayError('QUEUE_FULL', `${this.#taken} run and ${length} wait.`)
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#line.delete(waiter)
        clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
      }
      const waiter: Waiter = {
        admit: release => {
          leave()
          resolve(release)
        },
        refuse: error => {
          leave()
          reject(error)
        },
      }
      const onAbort = (): void => waiter.refuse(new GatewayError('CLIENT_LEFT'))
      const late = (): void =>
        waiter.refuse(new GatewayError('QUEUE_TIMEOUT', `It waited ${waitMs} ms.`))
      const timer = waitMs > 0 ? setTimeout(late, waitMs) : undefined
      signal.addEventListener('abort', onAbort)
      this.#line.add(waiter)
    })
  }

  /** Refuses everybody in line and everybody to come. */
  close(): void {
    this.#closed = true
    for (const waiter of [...this.#line]) waiter.refuse(new GatewayError('DRAINING'))
  }

  #take(): Release {
    this.#taken++
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#taken--
      const [next] = this.#line
      next?.admit(this.#take())
    }
  }
}
