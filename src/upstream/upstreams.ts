/**
 * The programs behind one route: which of them takes a request, and who waits for one (design §4, "the
 * gateway is the queue").
 *
 * Never more requests at a program than its capacity; the rest wait here, first in, first out, with the
 * bounds of `queue`. Least busy first. One that fails is left out for a while (passive ejection), longer
 * each time, then tried with one request. Knows no protocol; takes the clock as an argument.
 */
import type { Address } from './address.js'

/** How a request ended, as far as it says something about the program. */
export type Outcome =
  /** It answered, whatever the answer was; or nothing is known against it. */
  | 'answered'
  /** No connection, or one that broke: counts against it. */
  | 'failed'
  /** It said that it is overloaded: left out for a moment. */
  | 'overloaded'
  /** A time limit passed: counts against it, and its owner is told. */
  | 'stuck'

/** What there is to know about a program that is added. */
export interface UpstreamOptions {
  readonly address: Address
  /** Requests at once, 1 or more. */
  readonly capacity: number
  /** In log lines; default: the address. */
  readonly name?: string
  /** Called when a request that it had is over, with what the request was (for the log). */
  readonly onReleased?: (outcome: Outcome, request: string) => void
}

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

/** One program. */
export interface Upstream {
  readonly address: Address
  readonly name: string
  /** Requests at once; may change when the program has been asked. */
  capacity: number
  /** Requests that it has now. */
  readonly active: number
}

/** The right to send one request to a program. */
export interface Lease {
  readonly upstream: Upstream
  /** Gives the place back; further calls do nothing. `request` says what it was, for the owner's log. */
  release(outcome: Outcome, request?: string): void
}
