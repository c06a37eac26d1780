/**
 * Bytes of an HTTP/1.1 connection → where a response ends, its status and type, and the bytes of its body.
 *
 * Incremental and free of I/O. Knows what a server under test sends to a GET: Content-Length, the chunked coding,
 * bodies that end with the connection, informational responses. Memory is bounded by `mostHeadBytes`; body bytes
 * go to `onBody` as they come and are not kept. Much smaller than node:http's client, which would take a good part
 * of the cores that the server is measured on.
 */

/** `more`: the response goes on. `done`: it is complete. `bad`: this is not HTTP, or more than one response. */
export type Progress = 'more' | 'done' | 'bad'

type State = 'head' | 'length' | 'chunk-line' | 'chunk' | 'trailer' | 'close' | 'done' | 'bad'

const mostHeadBytes = 64 * 1024

const statusLine = /^HTTP\/1\.[01] (\d{3})[ \r]/
const contentLength = /\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n/i
const contentType = /\r\ncontent-type:[ \t]*([^\r]*?)[ \t]*\r\n/i
const chunkedCoding = /\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n/i
const closing = /\r\nconnection:[ \t]*close[ \t]*\r\n/i
const chunkSize = /^([0-9a-f]{1,12})(?:[ \t]*;.*)?$/i

const none = Buffer.alloc(0)

export class ResponseReader {
  readonly #onBody: (chunk: Buffer) => void
  #state: State = 'head'
  #pending: Buffer = none
  /** Body bytes to come in the state `length` or `chunk`, its line end included there. */
  #left = 0
  /** Of the final response. */
  status = 0
  /** Content-Type, or empty. */
  type = ''
  /** The server closes the connection behind this response. */
  closes = false

  constructor(onBody: (chunk: Buffer) => void) {
    this.#onBody = onBody
  }

  /** Ready for the next response on the connection. */
  reset(): void {
    this.#state = 'head'
    this.#pending = none
    this.status = 0
    this.type = ''
    this.closes = false
  }

  /** Takes bytes as they came. */
  push(bytes: Buffer): Progress {
    let rest: Buffer | undefined =
      this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes])
    this.#pending = none
    while (rest !== undefined && rest.length > 0) {
      if (this.#state === 'done' || this.#state === 'bad') return this.#become('bad')
      rest = this.#step(rest)
    }
    if (this.#pending.length > mostHeadBytes) return this.#become('bad')
    return this.#progress()
  }

  /** The connection has ended. */
  end(): Progress {
    return this.#become(this.#state === 'close' || this.#state === 'done' ? 'done' : 'bad')
  }

  #become(state: State): Progress {
    this.#state = state
    return this.#progress()
  }

  #progress(): Progress {
    if (this.#state === 'done' || this.#state === 'bad') return this.#state
    return 'more'
  }

  /** Consumes some of the bytes; undefined when what is there is kept for the next ones. */
  #step(bytes: Buffer): Buffer | undefined {
    switch (this.#state) {
      case 'head':
        return this.#readHead(bytes)
      case 'length':
        return this.#readLength(bytes)
      case 'chunk-line':
        return this.#readChunkLine(bytes)
      case 'chunk':
        return this.#readChunk(bytes)
      case 'trailer':
        return this.#readTrailer(bytes)
      case 'close':
        this.#onBody(bytes)
        return undefined
      case 'done':
      case 'bad':
        return undefined
      default:
        return this.#state satisfies never
    }
  }

  #keep(bytes: Buffer): undefined {
    this.#pending = bytes
  }

  #readHead(bytes: Buffer): Buffer | undefined {
    const end = bytes.indexOf('\r\n\r\n')
    if (end === -1) return this.#keep(bytes)
    const head = bytes.toString('latin1', 0, end + 2)
    const rest = bytes.subarray(end + 4)
    const status = Number(statusLine.exec(head)?.[1])
    if (Number.isNaN(status) || status === 101) return this.#refuse()
    if (status < 200) return rest
    this.status = status
    this.type = contentType.exec(head)?.[1] ?? ''
    this.closes = closing.test(head)
    this.#become(this.#bodyState(head))
    return rest
  }

  #bodyState(head: string): State {
    if (this.status === 204 || this.status === 304) return 'done'
    if (chunkedCoding.test(head)) return 'chunk-line'
    const length = contentLength.exec(head)?.[1]
    if (length === undefined) {
      this.closes = true
      return 'close'
    }
    this.#left = Number(length)
    return this.#left === 0 ? 'done' : 'length'
  }

  #readLength(bytes: Buffer): Buffer {
    const part = bytes.length > this.#left ? bytes.subarray(0, this.#left) : bytes
    this.#onBody(part)
    this.#left -= part.length
    if (this.#left === 0) this.#become('done')
    return bytes.subarray(part.length)
  }

  #readChunkLine(bytes: Buffer): Buffer | undefined {
    const end = bytes.indexOf('\r\n')
    if (end === -1) return this.#keep(bytes)
    const size = Number.parseInt(chunkSize.exec(bytes.toString('latin1', 0, end))?.[1] ?? '', 16)
    if (Number.isNaN(size)) return this.#refuse()
    this.#left = size + 2
    this.#become(size === 0 ? 'trailer' : 'chunk')
    return bytes.subarray(end + 2)
  }

  #readChunk(bytes: Buffer): Buffer | undefined {
    const data = this.#left - 2
    if (data > 0) {
      const part = bytes.length > data ? bytes.subarray(0, data) : bytes
      this.#onBody(part)
      this.#left -= part.length
      return bytes.subarray(part.length)
    }
    if (bytes.length < 2) return this.#keep(bytes)
    if (bytes[0] !== 0x0d || bytes[1] !== 0x0a) return this.#refuse()
    this.#become('chunk-line')
    return bytes.subarray(2)
  }

  /** Trailer fields are skipped; an empty line ends them. */
  #readTrailer(bytes: Buffer): Buffer | undefined {
    const end = bytes.indexOf('\r\n')
    if (end === -1) return this.#keep(bytes)
    if (end === 0) this.#become('done')
    return bytes.subarray(end + 2)
  }

  #refuse(): undefined {
    this.#become('bad')
  }
}
