/**
 * One request to a program that answers on a connection of its own: SCGI, uwsgi.
 *
 * States: `waiting` (for a place), `running`, `finishing` (nobody wants more of it, the program may close by
 * itself), `over`. The place is held until the connection is closed: a program that is still busy is not given
 * another request.
 */
import type { HeadSource } from '../cgi/head-reader.js'
import type { HeadResponses } from '../cgi/head-response.js'
import type { ResponseHead } from '../cgi/response-head.js'
import { asGatewayError, GatewayError } from '../errors.js'
import type { GatewayRequest, GatewayResponse } from '../gateway.js'
import type { Slot } from '../slots.js'
import { describeAddress } from '../upstream/address.js'
import type { Outcome, Upstream } from '../upstream/upstreams.js'
import { Answer, type AnswerOwner } from './answer.js'
import { Dispatch, type DispatchContext, type DispatchOwner } from './dispatch.js'
import type { Run, Runs } from './runs.js'
import type { SentOverSocket, SocketAttempt, SocketAttemptOwner } from './socket-attempt.js'
import { type Limits, type Timed, type TimeKeeper, TimeLimits } from './time-limits.js'

/** Who has a request sent and is told what comes back. */
export type SocketRunOwner = DispatchOwner & SocketAttemptOwner

/** Time limits of a route, that of connecting among them. */
export interface SocketLimits extends Limits {
  readonly connectMs: number
}

/** What the requests of one gateway share. */
export interface SocketRunContext
  extends DispatchContext<SentOverSocket, SocketRunOwner, SocketAttempt> {
  readonly limits: SocketLimits
  readonly time: TimeKeeper
  readonly responses: HeadResponses
  readonly newHeadSource: () => HeadSource
  readonly localRedirects: boolean
  readonly runs: Runs
}

export class SocketRun implements SocketRunOwner, AnswerOwner, Timed, Run {
  readonly #context: SocketRunContext
  readonly #request: GatewayRequest
  readonly #sent: SentOverSocket
  readonly #resolve: (response: GatewayResponse) => void
  readonly #reject: (error: GatewayError) => void
  readonly #dispatch: Dispatch<SentOverSocket, SocketRunOwner, SocketAttempt>
  readonly limits: TimeLimits
  readonly #asked = performance.now()
  #sentAt = 0
  #state: 'waiting' | 'running' | 'finishing' | 'over' = 'waiting'
  #answer: Answer | undefined
  /** In `finishing`: when it is over although the program has not closed. */
  #until = 0
  #outcome: Outcome = 'answered'
  #settleEnded: (() => void) | undefined
  #slot: Slot = -1
  #timeSlot: Slot | undefined

  constructor(
    context: SocketRunContext,
    request: GatewayRequest,
    sent: SentOverSocket,
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

  /** Ends the request because of `error`: refuses the head, or breaks the body off. Those in line are refused there. */
  fail(error: GatewayError): void {
    if (this.#dispatch.attempt === undefined) this.#dispatch.stop()
    if (this.#state !== 'running') return
    this.#answer?.fail(error)
    this.#close()
  }

  check(now: number): void {
    switch (this.#state) {
      case 'running':
        if (this.#dispatch.attempt?.isConnected === false) this.#checkConnecting(now)
        else this.#checkLimits(now)
        return
      case 'finishing':
        if (now >= this.#until) this.#close()
        return
      case 'waiting':
      case 'over':
        return
      default:
        this.#state satisfies never
    }
  }

  placed(upstream: Upstream): void {
    const { facts } = this.#request
    facts.queueMs = performance.now() - this.#asked
    // Who has it now, who need not be the first.
    facts.script = upstream.name
  }

  sending(): void {
    const { newHeadSource, localRedirects } = this.#context
    this.#answer = new Answer(this, newHeadSource, localRedirects)
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

  output(chunk: Buffer): void {
    if (this.limits.output()) this.#request.facts.firstByteMs = performance.now() - this.#sentAt
    this.#answer?.push(chunk)
  }

  /** The end of the connection is the end of the answer (H-4). */
  finished(): void {
    const { attempt } = this.#dispatch
    const answer = this.#answer
    if (attempt === undefined || answer === undefined || this.#state !== 'running') {
      this.#leave(this.#outcome)
      return
    }
    if (answer.hasHead) {
      // The program has its next request before we see to this answer: it would wait meanwhile.
      this.#leave('answered')
      answer.complete('')
      return
    }
    const closed = new GatewayError('UPSTREAM_CLOSED')
    if (this.#dispatch.repeatAfter(attempt, closed)) return
    answer.complete('')
    this.#leave(answer.isClosed ? 'failed' : 'answered')
  }

  broke(error: GatewayError, isReset: boolean): void {
    const { attempt } = this.#dispatch
    if (attempt === undefined || this.#state !== 'running') {
      this.#leave(this.#outcome)
      return
    }
    // L-1: who closes before it has read the whole body resets the connection behind its answer.
    if (isReset && this.limits.sawOutput && this.#sent.body.stdin !== 'none') {
      this.finished()
      return
    }
    if (this.#dispatch.repeatAfter(attempt, error)) return
    const isMidBody = this.#answer?.hasHead === true
    this.#answer?.fail(isMidBody ? new GatewayError('TRUNCATED', error.detail) : error)
    this.#leave('failed')
  }

  inform(head: ResponseHead): void {
    this.#request.inform(head.status, head.headers)
  }

  headKnown(head: ResponseHead): void {
    const answer = this.#answer
    if (answer === undefined) return
    try {
      const response = this.#context.responses.response(this.#request, head, answer)
      this.#request.facts.ended = new Promise(resolve => {
        this.#settleEnded = resolve
      })
      this.#resolve(response)
    } catch (error) {
      this.#reject(asGatewayError(error))
      answer.cancel()
    }
  }

  headFailed(error: GatewayError): void {
    this.#reject(error)
  }

  unreadable(): void {
    if (this.#state === 'running') this.#close()
  }

  stop(): void {
    this.#dispatch.attempt?.pause()
  }

  go(): void {
    this.limits.progress()
    this.#dispatch.attempt?.resume()
  }

  recycle(chunk: Buffer): void {
    this.#dispatch.attempt?.recycle(chunk)
  }

  /** The rest of the answer is dropped: the program may close by itself, for a while. */
  cancelled(): void {
    if (this.#state !== 'running') return
    if (this.#request.signal.aborted) {
      this.#close()
      return
    }
    this.#state = 'finishing'
    this.#until = performance.now() + this.#context.limits.graceMs
  }

  readonly #left = (): void => {
    if (this.#answer?.isClosed === false) this.fail(new GatewayError('CLIENT_LEFT'))
  }

  #checkConnecting(now: number): void {
    const { attempt } = this.#dispatch
    const { connectMs } = this.#context.limits
    if (attempt === undefined || connectMs === 0 || now - this.#sentAt < connectMs) return
    attempt.destroy()
    const said = `${describeAddress(attempt.upstream.address)} did not within ${connectMs} ms.`
    this.broke(new GatewayError('UPSTREAM_CONNECT_TIMEOUT', said), false)
  }

  #checkLimits(now: number): void {
    const error = this.limits.expired(now)
    if (error === undefined) return
    // A client that is slow is no fault of the program.
    const waitsForClient = this.limits.phase === 'body' || this.#answer?.waits === true
    if (!waitsForClient) this.#outcome = 'stuck'
    this.fail(error)
  }

  /** The program sees that nobody wants its answer. */
  #close(): void {
    if (this.#dispatch.attempt !== undefined) this.#leave(this.#outcome)
  }

  /** The connection first, then the place: whoever is next in line finds the program free. */
  #leave(outcome: Outcome): void {
    if (this.#state === 'over') return
    this.#dispatch.giveBack()
    this.#dispatch.release(outcome)
    this.#finish()
  }

  #finish(): void {
    this.#state = 'over'
    if (this.#timeSlot !== undefined) this.#context.time.remove(this.#timeSlot)
    this.#request.signal.removeEventListener('abort', this.#left)
    this.#sent.body.dispose()
    this.#settleEnded?.()
    this.#context.runs.remove(this.#slot)
  }
}
