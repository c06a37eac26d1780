/**
 * Gets a request its place at an upstream and has it sent there, and to another one where the first was none:
 * unreachable, overloaded, gone.
 *
 * Bounded: an upstream is tried once; a request that may have been begun is sent again once because a kept
 * connection was gone (G-19), and given up when `mostBroken` applications broke with it: it may be what breaks
 * them. The place is held until `release`.
 */

import { asGatewayError, GatewayError } from '../errors.js'
import type { GatewayRequest } from '../gateway.js'
import type { Lease, Outcome, Upstream, Upstreams } from '../upstream/upstreams.js'
import { type LostAttempt, mayRepeat } from './repeat.js'

/** One sending of a request. */
export interface Sending extends LostAttempt {
  readonly upstream: Upstream
  /** The connection had carried a request before this one. */
  readonly onKept: boolean
}

/** How the requests of one gateway are sent. */
export interface Sender<Sent, Owner, Attempt extends Sending> {
  /** Something to wait for before the first request to an upstream. */
  prepared(upstream: Upstream): Promise<void> | undefined
  /**
   * Sends; `fresh`: on a connection of its own.
   * @throws GatewayError for what cannot be sent; nothing was written then, and all is given back
   */
  send(
    upstream: Upstream,
    fresh: boolean,
    request: GatewayRequest,
    sent: Sent,
    owner: Owner,
  ): Attempt
  /** The connection of an attempt may have its next request, or is closed. */
  giveBack(attempt: Attempt): void
}

/** What the dispatches of one gateway share. */
export interface DispatchContext<Sent, Owner, Attempt extends Sending> {
  readonly upstreams: Upstreams
  /** Programs come and go by themselves: when all were tried there will be another. */
  readonly supplied: boolean
  readonly sender: Sender<Sent, Owner, Attempt>
}

/** Who is told how it goes. */
export interface DispatchOwner {
  /** A place is there. */
  placed(upstream: Upstream): void
  /** The request is about to be sent. */
  sending(): void
  /** It was sent. */
  sent(): void
  /** There is no place, or nothing that could be sent; all is given back. */
  unplaced(error: GatewayError): void
}

const mostBroken = 2
/** The same where another always comes. There a kept connection that is gone counts too: its worker has ended. */
const mostBrokenWorkers = 3
/** Upstreams that one request is given at most there; those that were gone before have not had it. */
const mostTries = 16

export class Dispatch<Sent, Owner extends DispatchOwner, Attempt extends Sending> {
  readonly #context: DispatchContext<Sent, Owner, Attempt>
  readonly #request: GatewayRequest
  readonly #sent: Sent
  readonly #owner: Owner
  #lease: Lease | undefined
  #attempt: Attempt | undefined
  /** Upstreams that could not be reached, broke, or were overloaded. */
  #tried: Set<Upstream> | undefined
  #lastError: GatewayError | undefined
  #repeatedStale = false
  /** Connections that were lost with the request on them. */
  #broken = 0
  #over = false

  constructor(
    context: DispatchContext<Sent, Owner, Attempt>,
    request: GatewayRequest,
    sent: Sent,
    owner: Owner,
  ) {
    this.#context = context
    this.#request = request
    this.#sent = sent
    this.#owner = owner
  }

  /** The sending that is under way. */
  get attempt(): Attempt | undefined {
    return this.#attempt
  }

  /** Asks for a place; the rest follows by itself. */
  start(): void {
    let lease: Lease | undefined
    try {
      lease = this.#context.upstreams.ask(this.#request.signal, this.#tried, this)
    } catch (error) {
      this.refuse(error)
      return
    }
    if (lease !== undefined) this.admit(lease)
  }

  /** The connection is gone: sends the request again where that is safe (G-19); false where it is not. */
  repeatAfter(attempt: Attempt, error: GatewayError): boolean {
    if (!mayRepeat(attempt, error, this.#request.method)) return false
    if (!attempt.isConnected) return this.passOn('failed', error)
    const { supplied } = this.#context
    const isStale = (attempt.onKept || attempt.isShared) && !this.#repeatedStale
    if (supplied || !isStale) this.#broken++
    if (isStale) {
      this.#repeatedStale = true
      this.#send(true)
      return true
    }
    if (this.#broken >= (supplied ? mostBrokenWorkers : mostBroken)) return false
    return this.passOn('failed', error)
  }

  /** Goes on with an upstream that was not tried; false where there is none. */
  passOn(outcome: Outcome, error: GatewayError): boolean {
    const { upstreams, supplied } = this.#context
    const attempt = this.#attempt
    if (attempt?.isRepeatable !== true) return false
    this.#tried ??= new Set()
    this.#tried.add(attempt.upstream)
    const comesAnother = supplied && outcome === 'failed' && this.#tried.size < mostTries
    if (!comesAnother && !upstreams.hasOther(this.#tried)) return false
    this.#lastError = error
    this.giveBack()
    this.release(outcome)
    this.start()
    return true
  }

  /** G-10: sends it once more on a connection of its own; false when it had one. */
  sendAlone(): boolean {
    const attempt = this.#attempt
    if (attempt === undefined || !attempt.isShared || !attempt.isRepeatable) return false
    this.giveBack()
    this.#send(true)
    return true
  }

  /** The connection may have its next request. */
  giveBack(): void {
    const attempt = this.#attempt
    this.#attempt = undefined
    if (attempt !== undefined) this.#context.sender.giveBack(attempt)
  }

  /** The place may have its next request. */
  release(outcome: Outcome): void {
    const lease = this.#lease
    if (lease === undefined) return
    const { method, target } = this.#request
    this.#lease = undefined
    lease.release(outcome, `${method} ${target}`)
  }

  /** Nothing is sent any more. */
  stop(): void {
    this.#over = true
  }

  /** It is our turn. */
  admit(lease: Lease): void {
    this.#lease = lease
    this.#owner.placed(lease.upstream)
    const asking = this.#context.sender.prepared(lease.upstream)
    if (asking === undefined) this.#send(false)
    else void asking.then(() => this.#send(false))
  }

  #send(fresh: boolean): void {
    const lease = this.#lease
    if (lease === undefined || this.#over) {
      this.refuse(new GatewayError('DRAINING'))
      return
    }
    const { sender } = this.#context
    this.#owner.sending()
    try {
      this.#attempt = sender.send(lease.upstream, fresh, this.#request, this.#sent, this.#owner)
    } catch (error) {
      this.refuse(error)
      return
    }
    this.#owner.sent()
  }

  /** There is no place, or nothing that could be sent. */
  refuse(reason: unknown): void {
    const error = asGatewayError(reason)
    this.release('answered')
    // What happened to the last one says more than that there is no other.
    const said = error.code === 'UPSTREAMS_EJECTED' ? (this.#lastError ?? error) : error
    this.#owner.unplaced(said)
  }
}
