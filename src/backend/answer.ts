/**
 * What an application writes on STDOUT, as a head and a body.
 *
 * States: `head` (reading headers), `held` (head known, nobody reads the body yet), `flowing`, `closed` (the
 * answer is over; what still comes is dropped). Held back is at most `heldBytes` and the rest of one read:
 * then the connection is told to stop. On a connection that several requests share a slow client so stops
 * the others only after that much.
 */
import { HeadReader, type HeadSource } from '../cgi/head-reader.js'
import type { ResponseHead } from '../cgi/response-head.js'
import { asGatewayError, GatewayError } from '../errors.js'
import type { BodySink, ResponseBody } from '../gateway.js'
import { upstreamError } from './upstream-error.js'

/** Who has the answer made. */
export interface AnswerOwner {
  /** Informational responses on the way to the head (E-23). */
  inform(head: ResponseHead): void
  /** The head, once; the body is the answer. */
  headKnown(head: ResponseHead): void
  /** There will be no head. */
  headFailed(error: GatewayError): void
  /** After `headFailed`: what came is no head, and more may come. */
  unreadable(): void
  /** No more STDOUT until `go`, please. */
  stop(): void
  go(): void
  /** Nobody wants the rest. */
  cancelled(): void
  /** A piece that was pushed is with the client: its memory may be read into again. */
  recycle(chunk: Buffer): void
}

/** Kept back for a client that is slower than the application. */
export const heldBytes = 256 * 1024

export class Answer implements ResponseBody {
  readonly #owner: AnswerOwner
  readonly #head: HeadReader
  #state: 'head' | 'held' | 'flowing' | 'closed' = 'head'
  #held: Buffer[] = []
  #heldBytes = 0
  #sink: BodySink | undefined
  /** The sink wants no more at present. */
  #waits = false
  #stopped = false
  #over = false
  #failure: GatewayError | undefined

  constructor(owner: AnswerOwner, newSource: () => HeadSource, localRedirects: boolean) {
    this.#owner = owner
    this.#head = new HeadReader(newSource, head => owner.inform(head), localRedirects)
  }

  /** Whether it waits for its client rather than for the application. */
  get waits(): boolean {
    return this.#waits || this.#stopped
  }

  /** The head is known and the body goes on. */
  get hasHead(): boolean {
    return this.#state === 'held' || this.#state === 'flowing'
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** A piece of STDOUT, to keep. */
  push(chunk: Buffer): void {
    switch (this.#state) {
      case 'head':
        this.#readHead(chunk)
        return
      case 'held':
        this.#hold(chunk)
        return
      case 'flowing':
        if (this.#waits || this.#held.length > 0) this.#hold(chunk)
        else this.#sink?.data(chunk)
        return
      case 'closed':
        return
      default:
        this.#state satisfies never
    }
  }

  /** Nothing more comes, and all is well so far. @param note what else is known when there is no head */
  complete(note: string): void {
    if (this.#state === 'head') this.#finishHead(note)
    this.#over = true
    if (this.#state === 'flowing' && this.#held.length === 0) this.#finishBody()
  }

  /** Breaks it off: there will be no head, or the body ends here. */
  fail(error: GatewayError): void {
    if (this.#state === 'closed') return
    const state = this.#state
    const sink = this.#sink
    this.#failure = error
    this.#close()
    if (state === 'head') this.#owner.headFailed(error)
    else sink?.fail(error)
  }

  /** The application failed: in the middle, unless STDOUT had ended before. @param status at its end */
  giveUp(status: number): void {
    if (this.hasHead && !this.#over) {
      this.fail(new GatewayError('TRUNCATED', `It gave up with status ${status}.`))
    }
  }

  flow(sink: BodySink): void {
    if (this.#state !== 'held') {
      if (this.#failure !== undefined) sink.fail(this.#failure)
      return
    }
    this.#state = 'flowing'
    this.#sink = sink
    this.#deliver()
  }

  pause(): void {
    this.#waits = true
  }

  resume(): void {
    this.#waits = false
    if (this.#state === 'flowing') this.#deliver()
  }

  recycle(chunk: Buffer): void {
    this.#owner.recycle(chunk)
  }

  cancel(): void {
    if (this.#state === 'closed') return
    this.#close()
    this.#owner.cancelled()
  }

  #readHead(chunk: Buffer): void {
    try {
      const read = this.#head.push(chunk)
      if (read === undefined) return
      this.#state = 'held'
      if (read.rest.length > 0) this.#hold(read.rest)
      this.#owner.headKnown(read.head)
    } catch (error) {
      this.fail(upstreamError(asGatewayError(error)))
      this.#owner.unreadable()
    }
  }

  #finishHead(note: string): void {
    const outcome = this.#head.finish()
    if (outcome instanceof GatewayError) {
      this.fail(upstreamError(outcome, note))
      return
    }
    this.#state = 'held'
    this.#owner.headKnown(outcome)
  }

  #hold(chunk: Buffer): void {
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
    if (this.#heldBytes > heldBytes) this.#stop()
  }

  /** Gives what is held to the sink for as long as it takes it, then lets the connection go on. */
  #deliver(): void {
    const held = this.#held
    let at = 0
    while (at < held.length && !this.#waits && this.#state === 'flowing') {
      const chunk = held[at++] as Buffer
      this.#heldBytes -= chunk.length
      this.#sink?.data(chunk)
    }
    if (this.#state !== 'flowing') return
    this.#held = at === held.length ? [] : held.slice(at)
    if (this.#waits) return
    this.#go()
    if (this.#over) this.#finishBody()
  }

  #finishBody(): void {
    const sink = this.#sink
    this.#close()
    sink?.end()
  }

  #stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#owner.stop()
  }

  #go(): void {
    if (!this.#stopped) return
    this.#stopped = false
    this.#owner.go()
  }

  #close(): void {
    this.#state = 'closed'
    this.#held = []
    this.#sink = undefined
    // What still comes is read and dropped, so that the application does not wait for us.
    this.#waits = false
    this.#go()
  }
}
