/**
 * One run of a program: its output becomes a head and a body, its time is limited, its end is awaited.
 *
 * States: `head` (reading headers), `held` (head known, nobody reads the body yet), `flowing`, `closed`
 * (the answer is over; what is still printed is dropped). While the answer is held at most `heldBytes`
 * wait here; afterwards the pipe itself holds back the program when the client is slow.
 */
import { GatewayError } from '../errors.js'
import type { BodySink, ProgramExit, ResponseBody } from '../gateway.js'
import type { Child } from '../process/spawner.js'
import { Deadlines, type DeadlineTimes } from './deadlines.js'
import { HeadReader, type HeadSource } from './head-reader.js'
import type { ResponseHead } from './response-head.js'
import { ScriptEnd } from './script-end.js'

export interface ScriptRunOptions {
  readonly times: DeadlineTimes
  readonly graceMs: number
  readonly newHeadSource: () => HeadSource
  /** Informational responses on the way to the head (E-23). */
  readonly inform: (head: ResponseHead) => void
  /** The head, once; the body is this run. */
  readonly onHead: (head: ResponseHead) => void
  /** There will be no head. */
  readonly onFailure: (error: GatewayError) => void
  readonly onFirstByte: () => void
  /** The program and, where it was told to end, its group are gone. */
  readonly onEnded: () => void
}

/** Output held before anybody reads it. */
const heldBytes = 256 * 1024
/** How long children may keep stdout open after the program has ended (E-33). */
const drainMs = 250
/** How long a program may live on after closing stdout before its answer counts as whole. */
const settleMs = 100

export class ScriptRun implements ResponseBody {
  readonly #child: Child
  readonly #options: ScriptRunOptions
  readonly #deadlines: Deadlines
  readonly #end: ScriptEnd
  readonly #head: HeadReader
  #state: 'head' | 'held' | 'flowing' | 'closed' = 'head'
  #held: Buffer[] = []
  #heldSize = 0
  #sink: BodySink | undefined
  #sawOutput = false
  #outputEnded = false
  /** Nothing more will come, and the exit is known unless the program lives on without stdout. */
  #over = false
  #paused = false
  #exit: ProgramExit | undefined
  #failure: GatewayError | undefined
  #settling: NodeJS.Timeout | undefined

  constructor(child: Child, options: ScriptRunOptions) {
    this.#child = child
    this.#options = options
    this.#head = new HeadReader(options.newHeadSource, options.inform)
    this.#deadlines = new Deadlines(options.times, error => this.fail(error))
    this.#end = new ScriptEnd(child, options.graceMs, options.onEnded)
    child.stdout.start(
      chunk => this.#output(chunk),
      () => this.#outputEnd(),
    )
    void child.exited.then(exit => this.#exited(exit))
  }

  /** The limits of time, for whoever feeds the body. */
  get deadlines(): Deadlines {
    return this.#deadlines
  }

  /** Whether the request failed, or the program was told to end: its exit is no news then. */
  get failed(): boolean {
    return this.#failure !== undefined || this.#end.asked
  }

  /** Ends the program because of `error`: refuses the head, or breaks the body off. */
  fail(error: GatewayError): void {
    this.#settle(error)
    this.#end.terminate()
  }

  /** KILL at once. */
  kill(): void {
    this.#settle(new GatewayError('DRAINING'))
    this.#end.kill()
  }

  flow(sink: BodySink): void {
    if (this.#state !== 'held') {
      if (this.#failure !== undefined) sink.fail(this.#failure)
      return
    }
    this.#state = 'flowing'
    this.#sink = sink
    const held = this.#held
    this.#held = []
    // Before the chunks: the sink may ask for a pause of its own while it takes them.
    if (this.#heldSize > heldBytes) this.resume()
    for (const chunk of held) sink.data(chunk)
    if (this.#over) this.#complete()
  }

  /** The body has been sent, or the program wants no more of it: its answer is due. */
  bodyDone(): void {
    if (this.#state === 'closed') return
    this.#deadlines.enter(this.#sawOutput ? 'idle' : 'firstByte')
  }

  pause(): void {
    this.#paused = true
    this.#child.stdout.pause()
    this.#watchOrphans()
  }

  resume(): void {
    this.#paused = false
    this.#deadlines.progress()
    this.#child.stdout.resume()
    this.#watchOrphans()
  }

  recycle(chunk: Buffer): void {
    this.#child.stdout.recycle(chunk)
  }

  /** The answer is over: the program gets the grace to end by itself, its output is dropped. */
  cancel(): void {
    if (this.#state === 'closed') return
    this.#close()
    if (this.#exit !== undefined) return
    const timer = setTimeout(() => this.#end.terminate(), this.#options.graceMs)
    void this.#child.exited.then(() => clearTimeout(timer))
  }

  #output(chunk: Buffer): void {
    if (!this.#sawOutput) {
      this.#sawOutput = true
      this.#options.onFirstByte()
      // While a body is still coming it is the client who is waited for.
      if (this.#deadlines.phase === 'body') this.#deadlines.progress()
      else this.#deadlines.enter('idle')
    } else {
      this.#deadlines.progress()
    }
    this.#settling?.refresh()
    switch (this.#state) {
      case 'head':
        this.#readHead(chunk)
        return
      case 'held':
        this.#hold(chunk)
        return
      case 'flowing':
        this.#sink?.data(chunk)
        return
      case 'closed':
        return
      default:
        this.#state satisfies never
    }
  }

  #readHead(chunk: Buffer): void {
    try {
      const read = this.#head.push(chunk)
      if (read === undefined) return
      this.#announce(read.head)
      if (read.rest.length > 0) this.#hold(read.rest)
    } catch (error) {
      this.fail(error instanceof GatewayError ? error : new GatewayError('INTERNAL', String(error)))
    }
  }

  #announce(head: ResponseHead): void {
    this.#state = 'held'
    this.#options.onHead(head)
  }

  #hold(chunk: Buffer): void {
    this.#held.push(chunk)
    this.#heldSize += chunk.length
    if (this.#heldSize > heldBytes) this.pause()
  }

  #outputEnd(): void {
    this.#outputEnded = true
    clearTimeout(this.#settling)
    if (this.#exit === undefined) {
      this.#settling = setTimeout(() => this.#complete(), settleMs)
      return
    }
    this.#complete()
  }

  #exited(exit: ProgramExit): void {
    this.#exit = exit
    this.#child.stdin?.close()
    clearTimeout(this.#settling)
    if (this.#outputEnded) this.#complete()
    else this.#watchOrphans()
    this.#end.leaderGone()
  }

  /**
   * After the exit, children may keep stdout open: what has come within a while is the answer (E-33).
   * The while does not run when it is we who do not read.
   */
  #watchOrphans(): void {
    if (this.#exit === undefined || this.#outputEnded) return
    clearTimeout(this.#settling)
    if (this.#paused) return
    this.#settling = setTimeout(() => {
      this.#child.stdout.close()
      this.#outputEnded = true
      this.#complete()
    }, drainMs)
  }

  #complete(): void {
    this.#over = true
    switch (this.#state) {
      case 'head':
        this.#finishHead()
        return
      case 'flowing':
        this.#finishBody()
        return
      case 'held':
      case 'closed':
        return
      default:
        this.#state satisfies never
    }
  }

  #finishHead(): void {
    // A program that lives on without stdout has not failed yet: its exit will say why there is no head.
    if (this.#exit === undefined && !this.#head.isLocalRedirect) return
    const outcome = this.#head.finish()
    if (outcome instanceof GatewayError) this.#settle(this.#withExit(outcome))
    else this.#announce(outcome)
  }

  #finishBody(): void {
    const sink = this.#sink
    const signal = this.#exit?.signal
    this.#close()
    if (signal === undefined) {
      sink?.end()
      return
    }
    this.#failure = this.#withExit(new GatewayError('TRUNCATED'))
    sink?.fail(this.#failure)
  }

  #withExit(error: GatewayError): GatewayError {
    const exit = this.#exit
    if (exit === undefined) return error
    const how =
      exit.signal === undefined ? `exit status ${exit.code ?? '?'}` : `signal ${exit.signal}`
    return new GatewayError(error.code, `${error.detail} It ended with ${how}.`.trim())
  }

  /** The answer is over by `error`, unless it was over already. */
  #settle(error: GatewayError): void {
    if (this.#state === 'closed') return
    const state = this.#state
    const sink = this.#sink
    this.#failure = error
    this.#close()
    if (state === 'head') this.#options.onFailure(error)
    else sink?.fail(error)
  }

  #close(): void {
    this.#state = 'closed'
    this.#held = []
    this.#sink = undefined
    this.#deadlines.stop()
    // What is still printed is read and dropped, so that the program does not wait for us.
    this.resume()
  }
}
