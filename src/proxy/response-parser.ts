/**
 * Parser of HTTP/1.x responses: bytes → informational heads, the head, pieces of the body, the end.
 *
 * Pure and incremental: the same result however the bytes are cut. A head that is cut is collected, never more
 * than `maxBytes` of it; of a body nothing is kept, its pieces are views of the chunks that they came in.
 * Trailers are dropped. Informational heads are counted: a server may not say `wait` for ever.
 */
import { ChunkedDecoder } from '../cgi/chunked.js'
import { quoteBytes } from '../cgi/field-syntax.js'
import { GatewayError } from '../errors.js'
import { type HeadContext, readHead, type UpstreamHead } from './response-head.js'

export interface ParserOptions extends HeadContext {
  /** Bytes of one head, its empty line included. */
  readonly maxBytes: number
  /** The request asked for another protocol: 101 may answer it. */
  readonly upgrade: boolean
}

/** What comes out, in this order: `interim` any number of times, `head`, `data`, `end`; or `switched`. */
export interface ParserEvents {
  /** An informational head (100, 103…). */
  interim(head: UpstreamHead): void
  head(head: UpstreamHead): void
  data(piece: Buffer): void
  /** The message is whole. `isClean`: the connection may carry another request. */
  end(isClean: boolean): void
  /** 101: what follows, `rest` first, is the other protocol's. */
  switched(head: UpstreamHead, rest: Buffer): void
}

const LF = 0x0a
const CR = 0x0d
/** Informational heads before the one that answers. */
const maxInterim = 16

export class ResponseParser {
  readonly #options: ParserOptions
  readonly #events: ParserEvents
  #state: 'head' | 'length' | 'chunked' | 'close' | 'done' = 'head'
  /** A head that is not whole yet. */
  #held: Buffer | undefined
  /** Where its current line begins. */
  #lineStart = 0
  #interim = 0
  #keepAlive = false
  /** In `length`: bytes still to come. */
  #left = 0
  #chunks: ChunkedDecoder | undefined

  constructor(options: ParserOptions, events: ParserEvents) {
    this.#options = options
    this.#events = events
  }

  /** The head that answers is known. */
  get hasHead(): boolean {
    return this.#state !== 'head'
  }

  get isDone(): boolean {
    return this.#state === 'done'
  }

  /**
   * Takes the next bytes, to keep.
   * @throws GatewayError UPSTREAM_BAD_HEAD, UPSTREAM_HEAD_TOO_LARGE; TRUNCATED for a bad chunked coding
   */
  push(chunk: Buffer): void {
    switch (this.#state) {
      case 'head':
        this.#readHeads(chunk)
        return
      case 'length':
        this.#takeCounted(chunk)
        return
      case 'chunked':
        this.#takeChunked(chunk)
        return
      case 'close':
        this.#events.data(chunk)
        return
      case 'done':
        return
      default:
        this.#state satisfies never
    }
  }

  /** The connection has been closed in order; false when the message is not whole with that. */
  finish(): boolean {
    if (this.#state === 'close') this.#end(false)
    return this.#state === 'done'
  }

  #readHeads(chunk: Buffer): void {
    let bytes = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk])
    let from = this.#held?.length ?? 0
    for (;;) {
      const end = this.#endOfHead(bytes, from)
      const { maxBytes, upgrade } = this.#options
      if ((end === -1 ? bytes.length : end) > maxBytes) {
        throw new GatewayError('UPSTREAM_HEAD_TOO_LARGE', `The limit is ${maxBytes} bytes.`)
      }
      if (end === -1) {
        this.#held = bytes
        return
      }
      const head = readHead(bytes, end, this.#options)
      this.#held = undefined
      this.#lineStart = 0
      bytes = bytes.subarray(end)
      from = 0
      if (head.status === 101) {
        if (!upgrade) throw badHead('It switched protocols without having been asked to.')
        this.#state = 'done'
        this.#events.switched(head, bytes)
        return
      }
      if (head.status >= 200) {
        this.#begin(head, bytes)
        return
      }
      if (++this.#interim > maxInterim) {
        throw badHead(`It sent more than ${maxInterim} informational responses.`)
      }
      this.#events.interim(head)
      if (bytes.length === 0) return
    }
  }

  /** The index behind the empty line, or -1. A line that does not end with CR LF is no line. */
  #endOfHead(bytes: Buffer, from: number): number {
    let at = from
    for (;;) {
      const lf = bytes.indexOf(LF, at)
      if (lf === -1) return -1
      const start = this.#lineStart
      if (lf === start || bytes[lf - 1] !== CR) {
        throw badHead('A line of its head does not end with CR LF.')
      }
      // Said at once: who speaks another protocol may wait for us now.
      if (start === 0 && lf > 1 && bytes.toString('latin1', 0, 7) !== 'HTTP/1.') {
        throw badHead(`Its first line is ${quoteBytes(bytes.subarray(0, lf - 1))}`)
      }
      this.#lineStart = lf + 1
      if (lf - 1 === start) {
        if (start === 0) throw badHead('It begins with an empty line.')
        return lf + 1
      }
      at = lf + 1
    }
  }

  #begin(head: UpstreamHead, rest: Buffer): void {
    const { framing } = head
    this.#keepAlive = head.keepAlive
    this.#state = framing === 'none' ? 'length' : framing
    this.#left = framing === 'length' ? (head.length ?? 0) : 0
    if (framing === 'chunked') {
      this.#chunks = new ChunkedDecoder(piece => this.#events.data(piece))
    }
    this.#events.head(head)
    if (rest.length > 0 || (this.#state === 'length' && this.#left === 0)) this.push(rest)
  }

  #takeCounted(chunk: Buffer): void {
    const part = chunk.length > this.#left ? chunk.subarray(0, this.#left) : chunk
    this.#left -= part.length
    if (part.length > 0) this.#events.data(part)
    if (this.#left === 0) this.#end(part.length === chunk.length)
  }

  #takeChunked(chunk: Buffer): void {
    const taken = this.#chunks?.push(chunk) ?? 0
    if (this.#chunks?.done === true) this.#end(taken === chunk.length)
  }

  #end(nothingLeft: boolean): void {
    this.#state = 'done'
    this.#events.end(this.#keepAlive && nothingLeft)
  }
}

function badHead(detail: string): GatewayError {
  return new GatewayError('UPSTREAM_BAD_HEAD', detail)
}
