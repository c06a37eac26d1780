/**
 * One request from its turn at an upstream to the end of the answer: sent, answered, limited in time, broken off
 * when nobody wants it any more.
 *
 * States: `waiting` (for a place), `running`, `switched` (the connection speaks another protocol), `over`. The
 * place is held until the answer is whole or the connection is closed: HTTP/1.1 has no other way to tell a server
 * that nobody waits.
 */
import { Answer, type AnswerOwner } from '../backend/answer.js'
import { Dispatch, type DispatchContext } from '../backend/dispatch.js'
import type { Run, Runs } from '../backend/runs.js'
import { type Limits, type Timed, type TimeKeeper, TimeLimits } from '../backend/time-limits.js'
import type { HeadSource } from '../cgi/head-reader.js'
import type { HeadResponses } from '../cgi/head-response.js'
import type { ResponseHead } from '../cgi/response-head.js'
import { asGatewayError, GatewayError } from '../errors.js'
import type { GatewayRequest, GatewayResponse } from '../gateway.js'
import type { Slot } from '../slots.js'
import type { Outcome, Upstream } from '../upstream/upstreams.js'
import type { Attempt, AttemptOwner, SentRequest } from './attempt.js'
import type { UpstreamHead } from './response-head.js'
import { type TunnelOwner, UpgradedConnection } from './tunnel.js'

/** What the requests of one gateway share. */
export interface RunContext extends DispatchContext<SentRequest, AttemptOwner, Attempt> {
  readonly limits: Limits
  readonly time: TimeKeeper
  readonly responses: HeadResponses
  /** Those that have begun and are not over. */
  readonly runs: Runs
}

const nothing = Buffer.alloc(0)

export class RequestRun implements AttemptOwner, AnswerOwner, Timed, Run, TunnelOwner {
  readonly #context: RunContext
  readonly #request: GatewayRequest
  readonly #sent: SentRequest
  readonly #resolve: (response: GatewayResponse) => void
  readonly #reject: (error: GatewayError) => void
  readonly #dispatch: Dispatch<SentRequest, AttemptOwner, Attempt>
  readonly limits: TimeLimits
  readonly #asked = performance.now()
  #sentAt = 0
  #state: 'waiting' | 'running' | 'switched' | 'over' = 'waiting'
  #answer: Answer | undefined
  #head: UpstreamHead | undefined
  #tunnel: UpgradedConnection | undefined
  #slot: Slot = -1
  #timeSlot: Slot | undefined

  constructor(
    context: RunContext,
    request: GatewayRequest,
    sent: SentRequest,
    resolve: (response: GatewayResponse) => void,
    reject: (error: GatewayError) => void,
  ) {
    this.#context = context
    this.#request = request
    this.#sent = sent
    this.#resolve = resolve
    this.#reject = reject
    this.limits = new TimeLimits(context.limits, this.#asked)
    this.#dispatch = new Dispatch(context, request, sent, this)
  }

  start(): void {
    this.#slot = this.#context.runs.add(this)
    this.#dispatch.start()
  }

  /** Refuses the head, or breaks the body off. Those in line are refused there. */
  fail(error: GatewayError): void {
    this.#fail(error, 'answered')
  }

  check(now: number): void {
    const error = this.limits.expired(now)
    if (error === undefined) return
    // A client that is slow is no fault of the server; neither is one that has nothing to say.
    const waitsForClient = this.limits.phase === 'body' || this.#answer?.waits === true
    this.#fail(error, waitsForClient || this.#state === 'switched' ? 'answered' : 'stuck')
  }

  placed(upstream: Upstream): void {
    const { facts } = this.#request
    facts.queueMs = performance.now() - this.#asked
    facts.script = upstream.name
  }

  sending(): void {
    this.#head = undefined
    this.#answer = new Answer(this, this.#newHeadSource, false)
    this.#sentAt = performance.now()
  }

  sent(): void {
    const isFirst = this.#state === 'waiting'
    this.#state = 'running'
    if (!isFirst) return
    this.#timeSlot = this.#context.time.add(this)
    const { signal } = this.#request
    if (signal.aborted) this.#left()
    else signal.addEventListener('abort', this.#left)
  }

  unplaced(error: GatewayError): void {
    this.#reject(error)
    this.#finish()
  }

  refused(error: GatewayError): void {
    this.fail(error)
  }

  heard(): void {
    if (this.limits.output()) this.#request.facts.firstByteMs = performance.now() - this.#sentAt
  }

  interim(head: UpstreamHead): void {
    this.#request.inform(head.status, head.headers)
  }

  head(head: UpstreamHead): void {
    this.#head = head
    this.#answer?.push(nothing)
  }

  data(piece: Buffer): void {
    this.#answer?.push(piece)
  }

  end(): void {
    const answer = this.#answer
    // The server has its next request before we see to this answer: it would wait meanwhile.
    this.#leave('answered')
    answer?.complete('')
  }

  switched(head: UpstreamHead, rest: Buffer): void {
    const { attempt } = this.#dispatch
    if (attempt === undefined) return
    const tunnel = new UpgradedConnection(attempt.connection, rest, this)
    this.#state = 'switched'
    this.#tunnel = tunnel
    this.limits.enter('idle')
    const upgrade = head.upgrade ?? this.#sent.upgrade ?? ''
    this.#resolve({
      ...this.#context.responses.response(this.#request, head, noBody),
      headers: [...head.headers, 'Connection', 'Upgrade', 'Upgrade', upgrade],
      tunnel,
    })
  }

  moved(): void {
    this.limits.progress()
  }

  over(): void {
    this.#leave('answered')
  }

  malformed(error: GatewayError): void {
    this.#answer?.fail(error)
    this.#leave('failed')
  }

  lost(error: GatewayError): void {
    const { attempt } = this.#dispatch
    if (attempt === undefined || this.#state !== 'running') {
      this.#leave('answered')
      return
    }
    if (this.#dispatch.repeatAfter(attempt, error)) return
    const isMidBody = error.code === 'UPSTREAM_CLOSED' && this.#answer?.hasHead === true
    this.#answer?.fail(isMidBody ? new GatewayError('TRUNCATED', error.detail) : error)
    // That a kept connection is gone says nothing about the server.
    this.#leave(attempt.onKept && !attempt.sawOutput ? 'answered' : 'failed')
  }

  /** For the answer: informational heads do not come this way. */
  inform(): void {}

  headKnown(head: ResponseHead): void {
    const answer = this.#answer
    if (answer === undefined) return
    try {
      this.#resolve(this.#context.responses.response(this.#request, head, answer))
    } catch (error) {
      this.#reject(asGatewayError(error))
      answer.cancel()
    }
  }

  headFailed(error: GatewayError): void {
    this.#reject(error)
  }

  /** For the answer: what is no head never gets there. */
  unreadable(): void {}

  /** Several pieces of a body may lie in one read: its buffer is the garbage collector's. */
  recycle(): void {}

  stop(): void {
    this.#dispatch.attempt?.pause()
  }

  go(): void {
    this.limits.progress()
    this.#dispatch.attempt?.resume()
  }

  cancelled(): void {
    this.#leave('answered')
  }

  readonly #newHeadSource = (): HeadSource => ({
    push: () => (this.#head === undefined ? undefined : { head: this.#head, rest: nothing }),
    finish: () => new GatewayError('UPSTREAM_NO_OUTPUT'),
  })

  readonly #left = (): void => {
    this.fail(new GatewayError('CLIENT_LEFT'))
  }

  #fail(error: GatewayError, outcome: Outcome): void {
    switch (this.#state) {
      case 'waiting':
        this.#dispatch.stop()
        return
      case 'running':
        this.#answer?.fail(error)
        this.#leave(outcome)
        return
      case 'switched':
        this.#tunnel?.close()
        return
      case 'over':
        return
      default:
        this.#state satisfies never
    }
  }

  /** The connection first, then the place: whoever is next in line finds it. */
  #leave(outcome: Outcome): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#dispatch.attempt?.drop()
    this.#dispatch.giveBack()
    this.#dispatch.release(outcome)
    this.#finish()
  }

  #finish(): void {
    this.#state = 'over'
    if (this.#timeSlot !== undefined) this.#context.time.remove(this.#timeSlot)
    this.#request.signal.removeEventListener('abort', this.#left)
    this.#sent.body.dispose()
    this.#context.runs.remove(this.#slot)
  }
}

const noBody = { flow: () => {}, pause: () => {}, resume: () => {}, cancel: () => {} }
