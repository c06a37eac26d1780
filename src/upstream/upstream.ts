/**
 * One program behind a route as everybody sees it, and the right to send it a request.
 *
 * Types only; `upstreams.ts` chooses among the programs and exports these as well.
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
