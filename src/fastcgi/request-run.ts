/**
 * One request from its turn at an upstream to END_REQUEST: answered, limited in time, aborted when nobody
 * wants it any more.
 *
 * States: `waiting` (for a place), `running`, `finishing` (nobody wants more of it, END_REQUEST may come by
 * itself), `aborting` (ABORT_REQUEST was sent), `over`. The place is held until END_REQUEST or the end of the
 * connection: an application that is still busy is not given another request.
 */
import { Answer, type AnswerOwner } from '../backend/answer.js'
import { Dispatch } from '../backend/dispatch.js'
import { type Timed, TimeLimits } from '../backend/time-limits.js'
import type { ResponseHead } from '../cgi/response-head.js'
import type { StderrLog } from '../cgi/stderr-log.js'
import { asGatewayError, GatewayError } from '../errors.js'
import type { GatewayRequest, GatewayResponse } from '../gateway.js'
import type { Slot } from '../slots.js'
import type { Outcome, Upstream } from '../upstream/upstreams.js'
import type { Attempt, SentRequest } from './attempt.js'
import type { RunOwner } from './attempts.js'
import { protocolStatus } from './record.js'
import { reportStatus, startStderr } from './request-log.js'
import type { RunContext } from './run-context.js'

export class RequestRun implements RunOwner, AnswerOwner, Timed {
  readonly #context: RunContext
  readonly #request: GatewayRequest
  readonly #sent: SentRequest
  readonly #resolve: (response: GatewayResponse) => void
  readonly #reject: (error: GatewayError) => void
  readonly #dispatch: Dispatch<SentRequest, RunOwner, Attempt>
  readonly limits: TimeLimits
  readonly #asked = performance.now()
  #sentAt = 0
  #state: 'waiting' | 'running' | 'finishing' | 'aborting' | 'over' = 'waiting'
  #answer: Answer | undefined
  #stderr: StderrLog | undefined
  #failed = false
  /** In `finishing` and `aborting`: when it goes on without END_REQUEST. */
  #until = 0
  #outcome: Outcome = 'answered'
  #settleEnded: (() => void) | undefined
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

  /** Ends the request because of `error`: refuses the head, or breaks the body off. Those in line are refused there. */
  fail(error: GatewayError): void {
    if (this.#state === 'waiting') this.#dispatch.stop()
    if (this.#state !== 'running') return
    this.#break(error)
    this.#abort()
  }

  check(now: number): void {
    switch (this.#state) {
      case 'running':
        this.#checkLimits(now)
        return
      case 'finishing':
        if (now >= this.#until) this.#abort()
        return
      case 'aborting':
        if (now < this.#until) return
        this.#until = Number.POSITIVE_INFINITY
        this.#dispatch.attempt?.giveUp()
        return
      case 'waiting':
      case 'over':
        return
      default:
        this.#state satisfies never
    }
  }

  placed(upstream: Upstream): void {
    this.#request.facts.queueMs = performance.now() - this.#asked
    // Without a file: who has it now, who need not be the first.
    if (!this.#sent.variables.has('SCRIPT_FILENAME')) this.#request.facts.script = upstream.name
  }

  sending(): void {
    const { newHeadSource, route } = this.#context
    this.#answer = new Answer(this, newHeadSource, route.localRedirects)
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

  stdout(content: Buffer): void {
    if (this.limits.output()) this.#request.facts.firstByteMs = performance.now() - this.#sentAt
    this.#answer?.push(content)
  }

  /** The answer is whole, whatever the application still does. Without a head END_REQUEST says why. */
  stdoutEnd(): void {
    if (this.#answer?.hasHead === true) this.#answer.complete('')
  }

  /** No progress: who only complains does not answer (F-4). */
  stderr(content: Buffer): void {
    if (this.#stderr === undefined) {
      const { log, route } = this.#context
      this.#stderr = startStderr(this.#request, route.limits.stderrBytes, log)
      if (this.#failed) this.#stderr.outcome('error')
      else if (this.#answer?.hasHead === true) this.#stderr.outcome('warn')
    }
    this.#stderr.push(content)
  }

  end(appStatus: number, status: number): void {
    // Nothing of an answer has come, so that another may.
    const mayStartAnew = this.#state === 'running' && !this.limits.sawOutput
    switch (status) {
      case protocolStatus.overloaded: {
        const error = new GatewayError('UPSTREAM_OVERLOADED')
        if (mayStartAnew && this.#dispatch.passOn('overloaded', error)) return
        this.#break(error)
        this.#leave('overloaded')
        return
      }
      case protocolStatus.cannotMultiplex:
        if (mayStartAnew && this.#dispatch.sendAlone()) return
        this.#break(new GatewayError('PROTOCOL_ERROR', 'It refuses a request on a connection.'))
        this.#leave('failed')
        return
      case protocolStatus.unknownRole:
        this.#break(new GatewayError('UPSTREAM_ROLE'))
        this.#leave('answered')
        return
      default:
        // The application has its next request before we see to this answer: it would wait meanwhile.
        if (this.#answer?.hasHead === true) this.#leave(this.#outcome)
        if (appStatus !== 0 && this.#context.route.statusBreaksOff) this.#answer?.giveUp(appStatus)
        this.#answer?.complete(appStatus === 0 ? '' : `Its status is ${appStatus}.`)
        if (!this.#failed) reportStatus(this.#request, appStatus, this.#context.log)
        this.#leave(this.#outcome)
    }
  }

  lost(error: GatewayError): void {
    const { attempt } = this.#dispatch
    if (attempt === undefined || this.#state !== 'running') {
      this.#leave(this.#outcome)
      return
    }
    if (attempt.stdoutEnded) {
      // G-8.
      this.#answer?.complete('')
      this.#leave('answered')
      return
    }
    if (this.#dispatch.repeatAfter(attempt, error)) return
    const isMidBody = error.code === 'UPSTREAM_CLOSED' && this.#answer?.hasHead === true
    this.#break(isMidBody ? new GatewayError('TRUNCATED', error.detail) : error)
    // That a kept connection is gone says nothing about the application.
    this.#leave(attempt.onKept && !attempt.sawOutput ? 'answered' : 'failed')
  }

  inform(head: ResponseHead): void {
    this.#request.inform(head.status, head.headers)
  }

  headKnown(head: ResponseHead): void {
    const answer = this.#answer
    if (answer === undefined) return
    this.#stderr?.outcome('warn')
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
    this.#failed = true
    this.#stderr?.outcome('error')
    this.#reject(error)
  }

  unreadable(): void {
    if (this.#state === 'running') this.#abort()
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

  /** The rest of the answer is dropped: END_REQUEST may come by itself, for a while. */
  cancelled(): void {
    if (this.#state !== 'running') return
    if (this.#request.signal.aborted) {
      this.#failed = true
      this.#abort()
      return
    }
    this.#state = 'finishing'
    this.#until = performance.now() + this.#context.limits.graceMs
  }

  readonly #left = (): void => {
    if (this.#answer?.isClosed === false) this.fail(new GatewayError('CLIENT_LEFT'))
  }

  #checkLimits(now: number): void {
    const error = this.limits.expired(now)
    if (error === undefined) return
    // A client that is slow is no fault of the application.
    const waitsForClient = this.limits.phase === 'body' || this.#answer?.waits === true
    if (!waitsForClient) this.#outcome = 'stuck'
    this.fail(error)
  }

  /** ABORT_REQUEST and a while for END_REQUEST, or the end of a connection that is ours alone (G-17, G-18). */
  #abort(): void {
    const { route, limits } = this.#context
    const { attempt } = this.#dispatch
    if (attempt === undefined) return
    this.#state = 'aborting'
    this.#until = performance.now() + limits.graceMs
    attempt.stopFeeding()
    this.#settleEnded?.()
    const isStuck = this.#outcome === 'stuck'
    // Who is stuck is replaced, or left out, at once.
    const waits = (attempt.isShared || (route.sendAbort && !isStuck)) && attempt.abort()
    if (!waits) attempt.giveUp()
    else if (isStuck) this.#dispatch.release('stuck')
  }

  #break(error: GatewayError): void {
    this.#failed = true
    this.#answer?.fail(error)
  }

  /** The connection first, then the place: whoever is next in line finds it. */
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
    this.#stderr?.end()
    this.#stderr?.outcome('warn')
    this.#sent.body.dispose()
    this.#sent.data?.stream.destroy()
    this.#settleEnded?.()
    this.#context.runs.remove(this.#slot)
  }
}
