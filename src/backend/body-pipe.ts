/**
 * A request body as a pipe to write into, so that bodies are fed to a connection as to any program.
 *
 * Nothing waits here: a chunk goes to the connection whole, and who writes waits for `drained`. How the bytes
 * are framed (records, chunks, as they are) is the protocol's.
 */
import type { PipeWriter } from '../process/spawner.js'

/** How a protocol writes a body on its connection. */
export interface BodyEncoding {
  /** Takes the chunk whole; false when what was written waits to be taken. */
  write(chunk: Buffer): boolean
  /** The body is complete. */
  end(): void
}

export class BodyPipe implements PipeWriter {
  readonly #encoding: BodyEncoding
  #drained: () => void = () => {}
  #gone: () => void = () => {}
  #waits = false
  #closed = false
  #ended = false

  constructor(encoding: BodyEncoding) {
    this.#encoding = encoding
  }

  /** Whether the body was written to its end. */
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
    const taken = this.#encoding.write(chunk)
    if (!taken) this.#waits = true
    return taken
  }

  end(): void {
    if (this.#closed) return
    this.#closed = true
    this.#ended = true
    this.#encoding.end()
  }

  /** Writes no more, the body stays without its end. */
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
