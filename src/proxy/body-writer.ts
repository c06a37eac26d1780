/**
 * A request body as a pipe to write into, counted or in the chunked coding (RFC 9112 §6).
 *
 * Nothing waits here: a chunk goes to the connection whole, and who writes waits for `drained`.
 */
import type { PipeWriter } from '../process/spawner.js'
import type { ProxyConnection } from './connection.js'

export class BodyWriter implements PipeWriter {
  readonly #connection: ProxyConnection
  readonly #chunked: boolean
  #drained: () => void = () => {}
  #gone: () => void = () => {}
  #waits = false
  #closed = false
  #ended = false

  constructor(connection: ProxyConnection, chunked: boolean) {
    this.#connection = connection
    this.#chunked = chunked
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
    // An empty chunk would be the last one.
    if (this.#closed || chunk.length === 0) return true
    const taken = this.#chunked ? this.#writeChunk(chunk) : this.#connection.write(chunk)
    if (!taken) this.#waits = true
    return taken
  }

  end(): void {
    if (this.#closed) return
    this.#closed = true
    this.#ended = true
    if (this.#chunked) this.#connection.writeText('0\r\n\r\n')
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

  #writeChunk(chunk: Buffer): boolean {
    const connection = this.#connection
    return connection.together(() => {
      connection.writeText(`${chunk.length.toString(16)}\r\n`)
      connection.write(chunk)
      return connection.writeText('\r\n')
    })
  }
}
