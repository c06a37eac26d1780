/**
 * What the lines of a CGI response head mean (RFC 3875 §6.3): status, framing, the fields that pass.
 *
 * Pure. A field is understood one line late, because a folded line after it (obs-fold) spoils it. What
 * must not reach a client (bad names, control characters, hop-by-hop fields, framing) is taken out here,
 * with a warning where the program is wrong. The caller bounds the number and the length of the lines.
 */
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'
import {
  digits,
  hasControls,
  isBlank,
  isToken,
  listMembers,
  quoteBytes,
  quoteText,
  startsWithHttp1,
} from './field-syntax.js'

/** What a program may say. */
export interface FieldOptions {
  /** `HTTP/1.x NNN Reason` as the first line: a must for `nph-` scripts, fine, or an error. */
  readonly statusLine: 'required' | 'accepted' | 'refused'
  /** X-Sendfile and X-Accel-Redirect are orders to the server and not fields for the client. */
  readonly sendfile: boolean
  /** `Transfer-Encoding: chunked` is taken out and reported instead of refused. */
  readonly decodeChunked: boolean
}

/** A complete head. */
export interface ResponseHead {
  /** 100 to 999; without one given 302 beside a Location, else 200. */
  readonly status: number
  /** Undefined when none was printed. */
  readonly reason: string | undefined
  /** name, value… in order, duplicates kept; without Status, Content-Length, hop-by-hop and sendfile fields. */
  readonly headers: ByteString[]
  /** Content-Length. */
  readonly length: number | undefined
  /** The program said `Connection: close`, or framed its own message (NPH). */
  readonly close: boolean
  /** A Status field or a status line was there. */
  readonly statusGiven: boolean
  /** Value of a Location that is the only line and begins with one slash: RFC 3875 §6.2.2, if no body follows. */
  readonly localRedirect: ByteString | undefined
  /** Value of X-Sendfile or X-Accel-Redirect. */
  readonly sendfile: ByteString | undefined
  /** The body is in the chunked coding. */
  readonly chunked: boolean
  /** What was wrong but not fatal, a sentence each, printable. */
  readonly warnings: readonly string[]
}

type Kind = 'status' | 'once' | 'length' | 'connection' | 'hop' | 'transfer-encoding' | 'sendfile'

/** Fields with a meaning of their own, by lower-case name; all others pass as they are. */
const kinds: ReadonlyMap<string, Kind> = new Map([
  ['status', 'status'],
  ['content-type', 'once'],
  ['location', 'once'],
  ['content-length', 'length'],
  ['connection', 'connection'],
  ['keep-alive', 'hop'],
  ['proxy-connection', 'hop'],
  ['te', 'hop'],
  ['trailer', 'hop'],
  ['upgrade', 'hop'],
  ['transfer-encoding', 'transfer-encoding'],
  ['x-sendfile', 'sendfile'],
  ['x-accel-redirect', 'sendfile'],
])

const COLON = 0x3a
const nothing = Buffer.alloc(0)
const none: readonly string[] = Object.freeze([])

/** Reads the lines of one head. */
export class FieldReader {
  readonly #options: FieldOptions
  readonly #headers: ByteString[] = []
  #lines = 0
  // The last line, not yet understood: it lies in #bytes from #start, which is -1 when there is none.
  #bytes: Buffer = nothing
  #start = -1
  #colon = 0
  #end = 0
  #status: number | undefined
  #reason: string | undefined
  #length: number | undefined
  #contentType = false
  #location: ByteString | undefined
  #connection: string | undefined
  #sendfile: ByteString | undefined
  #chunked = false
  #warnings: string[] | undefined

  constructor(options: FieldOptions) {
    this.#options = options
  }

  /**
   * Takes the next line, which is not empty and lies in `bytes` from `start` to `end`. The line before
   * must have been settled or dropped.
   * @throws GatewayError BAD_HEAD, BAD_STATUS
   */
  line(bytes: Buffer, start: number, end: number): void {
    if (this.#lines++ === 0 && this.#readStatusLine(bytes, start, end)) return
    let colon = start
    while (colon < end && bytes[colon] !== COLON) colon++
    if (colon === end) throw this.#noColon(bytes.subarray(start, end))
    this.#bytes = bytes
    this.#start = start
    this.#colon = colon
    this.#end = end
  }

  /** A line that folds the one before (RFC 9112 §5.2) came: both are dropped, half a value is worse than none. */
  dropFolded(): void {
    this.#lines++
    if (this.#start === -1) return
    this.#warn('a field folded over two lines', this.#bytes, this.#start, this.#end)
    this.#start = -1
  }

  /**
   * The last line is known to be whole: understand it. Does nothing when that was done before.
   * @throws GatewayError BAD_STATUS, RESPONSE_TRANSFER_ENCODING
   */
  settle(): void {
    const start = this.#start
    if (start === -1) return
    this.#start = -1
    const bytes = this.#bytes
    const colon = this.#colon
    if (!isToken(bytes, start, colon)) {
      const reason = isBlank(bytes[colon - 1]) ? 'a space before the colon' : 'a bad field name'
      this.#warn(reason, bytes, start, this.#end)
      return
    }
    let from = colon + 1
    let to = this.#end
    while (from < to && isBlank(bytes[from])) from++
    while (to > from && isBlank(bytes[to - 1])) to--
    const name = bytes.toString('latin1', start, colon)
    const kind = kinds.get(name.toLowerCase())
    if (hasControls(bytes, from, to) && kind !== 'status') {
      this.#warn('control characters', bytes, start, this.#end)
      return
    }
    const value = bytes.toString('latin1', from, to)
    if (kind === undefined) this.#headers.push(name, value)
    else this.#understand(kind, name, value)
  }

  /** The head, once its empty line has come. */
  head(): ResponseHead {
    const location = this.#location
    if (this.#lines === 0) this.#note('The head has no fields: it begins with an empty line.')
    if (this.#chunked && this.#length !== undefined) {
      this.#note('Dropped Content-Length: the body is in the chunked coding.')
      this.#length = undefined
    }
    const only = this.#lines === 1 && location?.startsWith('/') && !location.startsWith('//')
    return {
      status: this.#status ?? (location === undefined ? 200 : 302),
      reason: this.#reason,
      headers:
        this.#connection === undefined ? this.#headers : this.#withoutNamed(this.#connection),
      length: this.#length,
      close: this.#options.statusLine === 'required' || this.#saysClose(),
      statusGiven: this.#status !== undefined,
      localRedirect: only ? location : undefined,
      sendfile: this.#sendfile,
      chunked: this.#chunked,
      warnings: this.#warnings ?? none,
    }
  }

  #understand(kind: Kind, name: ByteString, value: ByteString): void {
    switch (kind) {
      case 'status':
        if (this.#status !== undefined) this.#repeated(name, value)
        else this.#readStatus(value)
        return
      case 'once':
        this.#passOnce(name, value)
        return
      case 'length':
        this.#readLength(value)
        return
      case 'connection':
        this.#connection = this.#connection === undefined ? value : `${this.#connection},${value}`
        return
      case 'hop':
        return
      case 'transfer-encoding':
        this.#readTransferEncoding(value)
        return
      case 'sendfile':
        if (!this.#options.sendfile) this.#headers.push(name, value)
        else if (this.#sendfile !== undefined) this.#repeated(name, value)
        else this.#sendfile = value
        return
      default:
        kind satisfies never
    }
  }

  /** RFC 3875 §6.3: these MUST NOT appear twice; the first wins. */
  #passOnce(name: ByteString, value: ByteString): void {
    const isLocation = name.length === 'location'.length
    if (isLocation ? this.#location !== undefined : this.#contentType) {
      this.#repeated(name, value)
      return
    }
    if (isLocation) this.#location = value
    else this.#contentType = true
    this.#headers.push(name, value)
  }

  #readStatusLine(bytes: Buffer, start: number, end: number): boolean {
    const { statusLine } = this.#options
    const text = bytes[start] === 0x48 ? bytes.toString('latin1', start, end) : ''
    const isHttp1 = startsWithHttp1(text)
    if (!isHttp1 && statusLine !== 'required') return false
    if (isHttp1 && statusLine !== 'refused') {
      this.#readStatus(text.slice(9).trim())
      return true
    }
    const line = quoteBytes(bytes.subarray(start, end))
    throw new GatewayError(
      'BAD_HEAD',
      isHttp1
        ? `Its first line is an HTTP status line: ${line}`
        : `Its name begins with nph-, so its first line must be an HTTP status line, not ${line}`,
    )
  }

  #readStatus(value: ByteString): void {
    const status = value.length === 3 || value[3] === ' ' ? digits(value.slice(0, 3)) : undefined
    if (status === undefined || status < 100) {
      throw new GatewayError('BAD_STATUS', `It printed ${quoteText(value)}`)
    }
    this.#status = status
    const reason = value.slice(4).trim()
    const bytes = Buffer.from(reason, 'latin1')
    if (hasControls(bytes, 0, bytes.length)) this.#note(`Dropped the reason ${quoteBytes(bytes)}.`)
    else if (reason !== '') this.#reason = reason
  }

  #readLength(value: ByteString): void {
    const length = digits(value)
    if (length === undefined) {
      this.#note(`Dropped Content-Length ${quoteText(value)}: not a number of bytes.`)
    } else if (this.#length === undefined) {
      this.#length = length
    } else if (this.#length !== length) {
      this.#repeated('Content-Length', value)
    }
  }

  #readTransferEncoding(value: ByteString): void {
    if (!this.#options.decodeChunked || this.#chunked || value.toLowerCase() !== 'chunked') {
      throw new GatewayError('RESPONSE_TRANSFER_ENCODING', `Its value is ${quoteText(value)}`)
    }
    this.#chunked = true
  }

  #saysClose(): boolean {
    return this.#connection !== undefined && listMembers(this.#connection).includes('close')
  }

  /** RFC 9110 §7.6.1: fields named in Connection end here. */
  #withoutNamed(connection: string): ByteString[] {
    const named = listMembers(connection)
    return this.#headers.filter((_, at, all) => !named.includes((all[at & ~1] ?? '').toLowerCase()))
  }

  #noColon(line: Buffer): GatewayError {
    const detail =
      this.#lines === 1
        ? `Its first line is ${quoteBytes(line)}`
        : `Line ${this.#lines} has no colon (an empty line must come before the body): ${quoteBytes(line)}`
    return new GatewayError('BAD_HEAD', detail)
  }

  #repeated(name: ByteString, value: ByteString): void {
    this.#note(`Dropped a second ${name}: ${quoteText(value)}.`)
  }

  #warn(reason: string, bytes: Buffer, start: number, end: number): void {
    this.#note(`Dropped ${quoteBytes(bytes.subarray(start, end))}: ${reason}.`)
  }

  #note(sentence: string): void {
    this.#warnings ??= []
    this.#warnings.push(sentence)
  }
}
