/**
 * The way in of one stream of a request (STDIN, DATA, the body of SCGI): its pieces → whoever reads the body.
 *
 * The length that the request declared is kept: a shorter stream is an error to its reader (FastCGI §6.2,
 * conventions G-53), bytes beyond it are dropped. What is not read is bounded: past the limit the inlet
 * closes its gate (the connection's), and opens it when it is read.
 */
import { Readable } from 'node:stream'

/** Where the contents go. */
export interface InletReader {
  /** Bytes that it has and nobody has read. */
  readonly unreadBytes: number
  /** Takes it, whatever it has already; it says through `wanted` when it has little. */
  accept(content: Buffer): void
  /** The stream is complete. */
  complete(): void
  /** The stream broke off. */
  fail(error: Error): void
}

/** Held while an inlet has more than it may. */
export interface Gate {
  hold(): void
  release(): void
}

/** What a piece counts at least, so that many tiny ones are bounded too. */
const leastWeight = 256
/** A piece that is a smaller part of the memory it lies in is copied out of it. */
const leastShare = 8

export class Inlet {
  readonly #gate: Gate
  readonly #limitBytes: number
  #reader: InletReader | undefined
  #expected: number | undefined
  #received = 0
  /** Pieces since the reader has last wanted more. */
  #pieces = 0
  #holding = false
  #closed = false
  /** How it ended, for a reader that comes later. */
  #outcome: 'complete' | Error | undefined

  constructor(gate: Gate, limitBytes: number) {
    this.#gate = gate
    this.#limitBytes = limitBytes
  }

  /** Sets the reader; called before anything has come, or not at all. */
  attach(reader: InletReader): void {
    this.#reader = reader
  }

  /** The contents as a stream. @throws Error when another reader is attached */
  readable(): Readable {
    if (this.#reader === undefined) {
      const stream = new InletStream(this)
      this.#reader = stream
      if (this.#outcome === 'complete') stream.complete()
      else if (this.#outcome !== undefined) stream.fail(this.#outcome)
      return stream
    }
    if (this.#reader instanceof InletStream) return this.#reader
    throw new Error('the body has another reader')
  }

  /** Sets the bytes that are to come, by the text of CONTENT_LENGTH or its like; no number: as many as come. */
  expect(text: string | undefined): void {
    this.#expected = text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
    if (this.#expected === 0) this.#complete()
  }

  /** Content of a record; it may lie in the buffer of the connection. */
  push(content: Buffer): void {
    if (this.#closed) return
    const left = (this.#expected ?? Number.POSITIVE_INFINITY) - this.#received
    const piece = content.length > left ? content.subarray(0, left) : content
    this.#received += piece.length
    this.#pieces++
    const small = piece.length * leastShare < piece.buffer.byteLength
    this.#reader ??= new InletStream(this)
    this.#reader.accept(small ? Buffer.from(piece) : piece)
    const unread = Math.max(this.#reader.unreadBytes, this.#pieces * leastWeight)
    if (unread > this.#limitBytes && !this.#holding) {
      this.#holding = true
      this.#gate.hold()
    }
    if (this.#received === this.#expected) this.#complete()
  }

  /** The peer has ended the stream. */
  end(): void {
    if (this.#closed) return
    if (this.#expected === undefined || this.#received >= this.#expected) this.#complete()
    else this.fail(brokenOff())
  }

  /** Nothing more will come, and what came is not all. */
  fail(error: Error): void {
    if (this.#closed) return
    this.#closed = true
    this.#outcome = error
    this.wanted()
    this.#reader?.fail(error)
  }

  /** The request is over: what still comes is dropped (conventions G-50). */
  close(): void {
    if (this.#closed) return
    // RFC 3875 §4.1.2: without a length there is no body, so nothing is missing.
    if (this.#expected === undefined && this.#received === 0) this.#complete()
    else this.fail(brokenOff())
  }

  /** Nobody reads any more: what comes is dropped. */
  discard(): void {
    this.#closed = true
    this.wanted()
  }

  /** The reader wants more. */
  wanted(): void {
    this.#pieces = 0
    if (!this.#holding) return
    this.#holding = false
    this.#gate.release()
  }

  #complete(): void {
    this.#closed = true
    this.#outcome = 'complete'
    this.#reader?.complete()
  }
}

/** What node:http says of a body that broke off. */
export function brokenOff(): Error {
  return Object.assign(new Error('aborted'), { code: 'ECONNRESET' })
}

class InletStream extends Readable implements InletReader {
  readonly #inlet: Inlet

  constructor(inlet: Inlet) {
    super()
    this.#inlet = inlet
    // What a client does must not end the process: a body that nobody reads may break off unseen.
    this.on('error', () => {})
  }

  get unreadBytes(): number {
    return this.readableLength
  }

  accept(content: Buffer): void {
    this.push(content)
  }

  complete(): void {
    this.push(null)
  }

  fail(error: Error): void {
    this.destroy(error)
  }

  override _read(): void {
    this.#inlet.wanted()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#inlet.discard()
    callback(error)
  }
}
