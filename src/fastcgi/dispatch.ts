/**
 * Gets a request its place and its connection, and another one where the first was none: unreachable,
 * overloaded, gone.
 *
 * Bounded: an upstream is tried once; a request that may have been begun is sent again once because a kept
 * connection was gone (G-19), and given up when `mostBroken` applications broke with it: it may be what breaks
 * them. The place is held until `release`.
 */

import { isSafeToRepeat, mayRepeat } from '../backend/repeat.js'
import { asGatewayError, GatewayError } from '../errors.js'
import type { GatewayRequest } from '../gateway.js'
import type { Lease, Outcome, Upstream } from '../upstream/upstreams.js'
import { Attempt, type AttemptOwner, type SentRequest } from './attempt.js'
import type { RunContext } from './run-context.js'

/** Who is told how it goes. */
export interface DispatchOwner extends AttemptOwner {
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

export class Dispatch {
  readonly #context: RunContext
  readonly #request: GatewayRequest
  readonly #sent: SentRequest
  readonly #owner: DispatchOwner
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
    context: RunContext,
    request: GatewayRequest,
    sent: SentRequest,
    owner: DispatchOwner,
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
    if (!attempt.connection.isConnected) return this.passOn('failed', error)
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
    const { connections } = this.#context
    const attempt = this.#attempt
    if (attempt === undefined || !attempt.isShared || !attempt.isRepeatable) return false
    connections.shareNoMore(attempt.upstream)
    this.giveBack()
    this.#send(true)
    return true
  }

  /** The connection may have its next request. */
  giveBack(): void {
    const attempt = this.#attempt
    this.#attempt = undefined
    if (attempt === undefined) return
    this.#context.connections.giveBack(attempt.upstream, attempt.connection, attempt.isClean)
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
    const asking = this.#context.connections.prepared(lease.upstream)
    if (asking === undefined) this.#send(false)
    else void asking.then(() => this.#send(false))
  }

  #send(fresh: boolean): void {
    const lease = this.#lease
    if (lease === undefined || this.#over) {
      this.refuse(new GatewayError('DRAINING'))
      return
    }
    const { connections } = this.#context
    const { upstream } = lease
    const isSafe = isSafeToRepeat(this.#request.method, this.#sent.body)
    const connection = fresh ? connections.fresh(upstream) : connections.take(upstream, isSafe)
    const isShared = !fresh && connections.shares(upstream)
    this.#owner.sending()
    try {
      this.#attempt = new Attempt(upstream, connection, isShared, this.#sent, this.#owner)
    } catch (error) {
      connections.giveBack(upstream, connection, true)
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
