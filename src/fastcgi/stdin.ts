/**
 * A request's STDIN (or DATA) as a pipe to write into, so that request bodies are fed as to any program.
 *
 * Nothing waits here: a chunk goes to the connection whole, and who writes waits for `drained`. A body in a
 * file is read in pieces, one at a time.
 */
import { read } from 'node:fs'
import type { FeedEvents } from '../cgi/script-input.js'
import { GatewayError } from '../errors.js'
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

const pieceBytes = 64 * 1024

/** Feeds `length` bytes of a file from its beginning, whatever its offset, and ends the stream behind them. */
export function feedFile(
  stdin: PipeWriter,
  fd: number,
  length: number,
  events: Pick<FeedEvents, 'waitsForProgram' | 'done' | 'refused'>,
): void {
  let at = 0
  let over = false
  const next = (): void => {
    if (over) return
    if (at === length) {
      over = true
      stdin.end()
      events.done()
      return
    }
    const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, length - at))
    read(fd, piece, 0, piece.length, at, (error, bytes) => {
      if (over) return
      if (error !== null || bytes === 0) {
        over = true
        stdin.close()
        const said = `Reading the body: ${error?.code ?? 'the file is shorter than it was'}.`
        events.refused(new GatewayError('STORAGE_FAILED', said, { cause: error }))
        return
      }
      at += bytes
      if (stdin.write(piece.subarray(0, bytes))) next()
      else events.waitsForProgram()
    })
  }
  stdin.onDrain(next)
  stdin.onGone(() => {
    over = true
    events.done()
  })
  next()
}
