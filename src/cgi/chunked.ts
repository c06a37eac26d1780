/**
 * Decoder of the chunked coding (RFC 9112 §7.1) for programs that print it (`decodeChunked`).
 *
 * Pure and incremental: pieces of the body go out as they come in, as views of the chunk they came in;
 * nothing is collected. Sizes are bounded by what a number holds, a size line with its extensions and
 * the trailer section by 8 KiB each. Extensions and trailers are dropped. LF alone ends a line as well:
 * programs are sloppy, and since the server frames the body anew nothing can be smuggled through.
 */
import { GatewayError } from '../errors.js'

type State = 'size' | 'extension' | 'data' | 'data-end' | 'data-end-lf' | 'trailer' | 'done'

const LF = 0x0a
const CR = 0x0d
const SEMICOLON = 0x3b
const LINE_BYTES = 8 * 1024
/** Twelve hexadecimal digits stay far below 2^53. */
const SIZE_DIGITS = 12

/** Decodes one body; not to be used after it threw. */
export class ChunkedDecoder {
  readonly #data: (piece: Buffer) => void
  #state: State = 'size'
  /** In `size`: the number so far. In `data`: bytes still to come. */
  #size = 0
  #digits = 0
  /** Bytes of the size line or the trailer section so far. */
  #lineBytes = 0
  /** Whether the line of the trailer section has anything but its end. */
  #lineEmpty = true

  /** `data` gets the pieces of the body; never an empty one. */
  constructor(data: (piece: Buffer) => void) {
    this.#data = data
  }

  /** The last chunk and its trailers have come. */
  get done(): boolean {
    return this.#state === 'done'
  }

  /**
   * Decodes the next bytes; those after the end of the body are dropped.
   * @returns how many belonged to the body and its coding
   * @throws GatewayError TRUNCATED when they are not the chunked coding
   */
  push(bytes: Buffer): number {
    let at = 0
    while (at < bytes.length && this.#state !== 'done') {
      at = this.#state === 'data' ? this.#take(bytes, at) : this.#frame(bytes[at] ?? 0, at)
    }
    return at
  }

  /** The error when the program ended here, or undefined when the body is complete. */
  finish(): GatewayError | undefined {
    if (this.done) return undefined
    return new GatewayError('TRUNCATED', 'Its chunked coding has no last chunk.')
  }

  #take(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#size)
    this.#size -= end - at
    if (this.#size === 0) this.#state = 'data-end'
    this.#data(bytes.subarray(at, end))
    return end
  }

  /** Consumes one byte of what lies between the data. */
  #frame(byte: number, at: number): number {
    switch (this.#state) {
      case 'size':
        this.#readSize(byte)
        break
      case 'extension':
        this.#count()
        if (byte === LF) this.#beginChunk()
        break
      case 'data-end':
        if (byte === CR) this.#state = 'data-end-lf'
        else this.#nextChunk(byte)
        break
      case 'data-end-lf':
        this.#nextChunk(byte)
        break
      case 'trailer':
        this.#count()
        if (byte === LF && this.#lineEmpty) this.#state = 'done'
        else if (byte === LF) this.#lineEmpty = true
        else if (byte !== CR) this.#lineEmpty = false
        break
      case 'data':
      case 'done':
        break
      default:
        this.#state satisfies never
    }
    return at + 1
  }

  #readSize(byte: number): void {
    this.#count()
    const digit = hexDigit(byte)
    if (digit !== -1) {
      if (++this.#digits > SIZE_DIGITS) throw malformed('a chunk size is too large')
      this.#size = this.#size * 16 + digit
      return
    }
    if (this.#digits === 0) throw malformed('a chunk size is missing')
    if (byte === LF) this.#beginChunk()
    else if (byte === SEMICOLON || byte === CR || isBlank(byte)) this.#state = 'extension'
    else throw malformed('a chunk size is not hexadecimal')
  }

  #nextChunk(byte: number): void {
    if (byte !== LF) throw malformed('a chunk is longer than its size')
    this.#state = 'size'
  }

  #beginChunk(): void {
    this.#state = this.#size === 0 ? 'trailer' : 'data'
    this.#digits = 0
    this.#lineBytes = 0
    this.#lineEmpty = true
  }

  #count(): void {
    if (++this.#lineBytes > LINE_BYTES) throw malformed('a line is longer than 8 KiB')
  }
}

function malformed(reason: string): GatewayError {
  return new GatewayError('TRUNCATED', `The program's chunked coding is malformed: ${reason}.`)
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09
}

/** Value of a hexadecimal digit, or -1. */
function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1
}
