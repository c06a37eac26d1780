/**
 * Parser of the head of a CGI response (RFC 3875 §6): bytes → lines → `response-fields.ts` → meaning.
 *
 * Pure and incremental: the same result however the bytes are cut. A head that arrives in one chunk is
 * read where it lies; only one that is cut is collected, and never more than `maxBytes` of it. Here are
 * the lines and their limits (conventions E-28); what a line says is the business of the other file.
 */
import { GatewayError } from '../errors.js'
import { readableBytes } from '../process/stderr-lines.js'
import { isBlank } from './field-syntax.js'
import { type FieldOptions, FieldReader, type ResponseHead } from './response-fields.js'

export type { ResponseHead } from './response-fields.js'

/** What is accepted, and how much of it. */
export interface HeadOptions extends FieldOptions {
  /** Bytes of the whole head, the empty line included. */
  readonly maxBytes: number
  /** Lines, the status line and dropped ones included. */
  readonly maxFields: number
  /** Bytes of one line without its line feed. */
  readonly maxLineBytes: number
}

/** A head and the bytes that came after it in the same chunk: the beginning of the body. */
export interface ParsedHead {
  readonly head: ResponseHead
  readonly rest: Buffer
}

const LF = 0x0a
const CR = 0x0d
const EXCERPT_BYTES = 200
const nothing = Buffer.alloc(0)

/** Reads one head; not to be used after it gave one or threw. */
export class ResponseHeadParser {
  readonly #options: HeadOptions
  readonly #fields: FieldReader
  /** The first chunk itself, which is full and so never written into; from the second one on a copy. */
  #bytes: Buffer = nothing
  #length = 0
  /** Up to here there is no line feed after `#lineStart`. */
  #scanned = 0
  #lineStart = 0
  #lines = 0

  constructor(options: HeadOptions) {
    this.#options = options
    this.#fields = new FieldReader(options)
  }

  /** The bytes seen so far, at most `maxBytes`, for diagnosis. */
  get seen(): Buffer {
    return this.#bytes.subarray(0, Math.min(this.#length, this.#options.maxBytes))
  }

  /**
   * Takes the next bytes; gives the head once its empty line has come.
   * @throws GatewayError BAD_HEAD, BAD_STATUS, RESPONSE_HEAD_TOO_LARGE, RESPONSE_TRANSFER_ENCODING
   */
  push(chunk: Buffer): ParsedHead | undefined {
    const before = this.#length
    this.#append(chunk)
    const end = this.#readLines()
    if (end === -1) return undefined
    return { head: this.#fields.head(), rest: chunk.subarray(end - before) }
  }

  /** The error when stdout ended here: NO_OUTPUT if nothing came, else HEAD_INCOMPLETE with an excerpt. */
  finish(): GatewayError {
    if (this.#length === 0) return new GatewayError('NO_OUTPUT')
    const excerpt = readableBytes(this.seen.subarray(0, EXCERPT_BYTES)).replaceAll('\\x0a', '\\n')
    const more = this.#length > EXCERPT_BYTES ? '…' : ''
    return new GatewayError('HEAD_INCOMPLETE', `It printed "${excerpt}"${more}`)
  }

  /** Where the head ends, or -1 when it has not ended yet. */
  #readLines(): number {
    const bytes = this.#bytes
    const { maxBytes, maxLineBytes } = this.#options
    const end = Math.min(this.#length, maxBytes)
    while (this.#lineStart < end) {
      const start = this.#lineStart
      const isFold = start > 0 && isBlank(bytes[start])
      if (!isFold) this.#fields.settle()
      const lineFeed = findLineFeed(bytes, this.#scanned, end)
      this.#scanned = lineFeed
      if (lineFeed - start > maxLineBytes) {
        throw tooLarge(`a line has more than ${maxLineBytes} bytes`)
      }
      if (lineFeed === end) break
      this.#lineStart = this.#scanned = lineFeed + 1
      const lineEnd = lineFeed > start && bytes[lineFeed - 1] === CR ? lineFeed - 1 : lineFeed
      if (lineEnd === start) return lineFeed + 1
      this.#countLine()
      if (isFold) this.#fields.dropFolded()
      else this.#fields.line(bytes, start, lineEnd)
    }
    if (end === maxBytes) {
      throw tooLarge(`no empty line within ${maxBytes} bytes (limits.responseHead)`)
    }
    return -1
  }

  #countLine(): void {
    if (++this.#lines <= this.#options.maxFields) return
    throw tooLarge(`more than ${this.#options.maxFields} header lines`)
  }

  #append(chunk: Buffer): void {
    if (this.#length === 0) {
      this.#bytes = chunk
      this.#length = chunk.length
      return
    }
    const length = Math.min(this.#length + chunk.length, this.#options.maxBytes)
    if (length > this.#bytes.length) this.#grow(length)
    chunk.copy(this.#bytes, this.#length, 0, length - this.#length)
    this.#length = length
  }

  #grow(needed: number): void {
    const size = Math.min(this.#options.maxBytes, Math.max(1024, 2 * needed))
    const grown = Buffer.allocUnsafeSlow(size)
    this.#bytes.copy(grown, 0, 0, this.#length)
    this.#bytes = grown
  }
}

function tooLarge(which: string): GatewayError {
  return new GatewayError('RESPONSE_HEAD_TOO_LARGE', `Limit reached: ${which}.`)
}

/** Position of the next line feed, or `end`. Heads are short: a loop here beats a call into C++. */
function findLineFeed(bytes: Buffer, from: number, end: number): number {
  let at = from
  while (at < end && bytes[at] !== LF) at++
  return at
}
