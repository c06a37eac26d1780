/**
 * One client of the load generator: a keep-alive connection on which one request at a time is asked.
 *
 * The connection is made when the first request needs it, and again after the server has closed it. Every `ask`
 * has one outcome. Bytes are read and forgotten; see `response-reader.ts` for what bounds them.
 */
import { connect, type Socket } from 'node:net'
import type { AnswerCheck } from './answer-check.js'
import { type Progress, ResponseReader } from './response-reader.js'

/** `error`: no whole answer, or one of 5xx. `wrong`: a whole answer that is not the expected one. */
export type Outcome = 'right' | 'wrong' | 'error'

export class LoadConnection {
  readonly #host: string
  readonly #port: number
  readonly #request: Buffer
  readonly #check: AnswerCheck
  readonly #reader: ResponseReader
  readonly #onOutcome: (outcome: Outcome, ms: number) => void
  #socket: Socket | undefined
  #asking = false
  #askedAt = 0

  /** @param onOutcome gets what came of a request, and how long it took in milliseconds */
  constructor(
    { host, port }: { readonly host: string; readonly port: number },
    request: Buffer,
    check: AnswerCheck,
    onOutcome: (outcome: Outcome, ms: number) => void,
  ) {
    this.#host = host
    this.#port = port
    this.#request = request
    this.#check = check
    this.#reader = new ResponseReader(chunk => check.data(chunk))
    this.#onOutcome = onOutcome
  }

  /** Sends the request; nothing else may be under way. */
  ask(): void {
    this.#asking = true
    this.#askedAt = performance.now()
    this.#reader.reset()
    this.#check.reset()
    this.#socket ??= this.#open()
    this.#socket.write(this.#request)
  }

  /** Ends the connection; what is under way has no outcome. */
  destroy(): void {
    this.#asking = false
    this.#drop()
  }

  #open(): Socket {
    const socket = connect({ host: this.#host, port: this.#port, noDelay: true })
    socket.on('data', chunk => this.#take(this.#reader.push(chunk)))
    socket.on('end', () => this.#closed(socket))
    socket.on('error', () => this.#closed(socket))
    socket.on('close', () => this.#closed(socket))
    return socket
  }

  #closed(socket: Socket): void {
    // A connection that was dropped has nothing more to say about the one that came after it.
    if (this.#socket !== socket) return
    this.#drop()
    if (this.#asking) this.#take(this.#reader.end())
  }

  #take(progress: Progress): void {
    if (progress === 'more') return
    const { closes } = this.#reader
    // Bytes that nobody asked for leave a connection of which nothing is known any more.
    if (progress === 'bad' || closes || !this.#asking) this.#drop()
    if (!this.#asking) return
    this.#asking = false
    this.#onOutcome(this.#judge(progress), performance.now() - this.#askedAt)
  }

  #judge(progress: 'done' | 'bad'): Outcome {
    const { status, type } = this.#reader
    if (progress === 'bad' || status >= 500) return 'error'
    return this.#check.isRight(status, type) ? 'right' : 'wrong'
  }

  #drop(): void {
    const socket = this.#socket
    this.#socket = undefined
    socket?.destroy()
  }
}
