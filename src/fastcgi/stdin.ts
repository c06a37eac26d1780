/**
 * A request's STDIN (or DATA) as a pipe to write into, so that request bodies are fed as to any program.
 *
 * Nothing waits here: a chunk goes to the connection whole, and who writes waits for `drained`.
 */
import type { PipeWriter } from '../process/spawner.js'
import type { FastCgiConnection } from './connection.js'

export class StreamWriter implements PipeWriter {
  readonly #connection: FastCgiConnection
  readonly #stream: 'stdin' | 'data'
  readonly #id: number
  #drained: () => void = () => {}
  #gone: () => void = () => {}
  #waits = false
  #closed = false
  #ended = false

  constructor(connection: FastCgiConnection, stream: 'stdin' | 'data', id: number) {
    this.#connection = connection
    this.#stream = stream
    this.#id = id
  }

  /** Whether the stream was written to its end. */
  get isEnded(): boolean {
    return this.#ended
  }

  onDrain(drained: () => void): void {
    this.#drained = drained
  }

  onGone(gone: () => void): void {
    this.#gone = gone
  }

  write(chunk: Buffer): boolean {
    if (this.#closed) return true
    const taken = this.#connection.writeStream(this.#stream, this.#id, chunk)
    if (!taken) this.#waits = true
    return taken
  }

  end(): void {
    if (this.#closed) return
    this.#closed = true
    this.#ended = true
    this.#connection.endStream(this.#stream, this.#id)
  }

  /** Writes no more, the stream stays without its end. */
  close(): void {
    this.#closed = true
    this.#waits = false
  }

  /** What was written has been taken. */
  takeDrained(): void {
    if (!this.#waits) return
    this.#waits = false
    this.#drained()
  }

  /** Nobody reads any more. */
  takeGone(): void {
    if (this.#closed && !this.#waits) return
    this.close()
    this.#gone()
  }
}
