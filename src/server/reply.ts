/**
 * A GatewayResponse onto node:http's response: framing, HEAD/204/304, backpressure, truncation.
 *
 * Never knows which protocol answered. At most one chunk waits here; a client that reads slowly pauses the
 * body. An answer that ends early never looks whole: the connection is destroyed (E-18, E-31).
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { GatewayError } from '../errors.js'
import type { BodySink, ByteString, GatewayResponse } from '../gateway.js'

/** What the access line wants to know of a reply. */
export interface ReplyEvents {
  /** Body bytes handed to the client, counted as they go. */
  readonly sent: (bytes: number) => void
  /** The answer broke off after its head was sent. */
  readonly broken: (error: GatewayError) => void
  /** More came than Content-Length said; the rest is dropped (E-17). */
  readonly cut: (length: number) => void
}

/** Sends the response; whatever comes of it is seen on `res`. */
export function reply(
  req: IncomingMessage,
  res: ServerResponse,
  response: GatewayResponse,
  serverName: string,
  events: ReplyEvents,
): void {
  const { status, length, body } = response
  const headers = [...response.headers, 'Server', serverName]
  if (
    response.close ||
    (req.httpVersionMajor === 1 && req.httpVersionMinor === 0 && !asksKeepAlive(req))
  )
    headers.push('Connection', 'close')
  if (req.method === 'HEAD' || status === 204 || status === 304) {
    if (length !== undefined && status !== 204) headers.push('Content-Length', String(length))
    writeHead(res, response, headers)
    res.end()
    body.cancel()
    return
  }
  const sink = new ReplySink(res, response, headers, events)
  body.flow(sink)
  sink.settled()
}

/** HTTP/1.0 clients must ask for a connection to be kept (RFC 9112 §9.3). */
function asksKeepAlive(req: IncomingMessage): boolean {
  return req.headers.connection?.toLowerCase() === 'keep-alive'
}

function writeHead(res: ServerResponse, response: GatewayResponse, headers: ByteString[]): void {
  if (response.reason === undefined) res.writeHead(response.status, headers)
  else res.writeHead(response.status, response.reason, headers)
}

/** How long and how much of an answer waits for the rest of it, so that it leaves whole. */
const holdMs = 1
const heldBytes = 16 * 1024
/** From this size on memory is worth giving back. */
const largeBytes = 16 * 1024

/**
 * Holds the head back until the body has begun: an answer that is whole by then goes out with its length
 * and in one write.
 */
class ReplySink implements BodySink {
  readonly #res: ServerResponse
  readonly #response: GatewayResponse
  readonly #headers: ByteString[]
  readonly #events: ReplyEvents
  #first: Buffer[] | undefined = []
  #bytes = 0
  #over = false
  #waiting = false
  #hold: NodeJS.Timeout | undefined

  constructor(
    res: ServerResponse,
    response: GatewayResponse,
    headers: ByteString[],
    events: ReplyEvents,
  ) {
    this.#res = res
    this.#response = response
    this.#headers = headers
    this.#events = events
  }

  data(chunk: Buffer): void {
    if (this.#over) return
    const { length, body } = this.#response
    const part = length === undefined ? chunk : chunk.subarray(0, length - this.#bytes)
    this.#bytes += part.length
    this.#events.sent(part.length)
    if (this.#first === undefined) this.#write(part)
    else this.#keep(this.#first, part)
    if (length === undefined || this.#bytes < length) return
    if (part.length < chunk.length) this.#events.cut(length)
    this.#finish()
    // More may still come; it is dropped. Without more the program is about to end by itself.
    body.cancel()
  }

  end(): void {
    if (this.#over) return
    const { length } = this.#response
    if (length !== undefined && this.#bytes < length) {
      const said = `It declared ${length} bytes and printed ${this.#bytes}.`
      this.fail(new GatewayError('TRUNCATED', said))
      return
    }
    this.#finish()
  }

  fail(error: GatewayError): void {
    if (this.#over) return
    this.#over = true
    this.#events.broken(error)
    if (this.#first === undefined) {
      this.#cut()
      return
    }
    // The client sees that there was an answer, and that it broke off.
    this.#sendHead()
    setImmediate(() => this.#cut())
  }

  #cut(): void {
    // A body that ends with the connection looks whole unless the connection is reset.
    if (this.#response.length === undefined && !this.#res.chunkedEncoding) {
      this.#res.socket?.resetAndDestroy()
    }
    this.#res.destroy()
  }

  /** The client may leave while the program has ended and its last output waits here to be read. */
  readonly #left = (): void => {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#hold)
    this.#response.body.cancel()
  }

  /** The first part of the body is here; if more is to come, it leaves without waiting for it (E-34). */
  settled(): void {
    if (this.#over || this.#first === undefined) return
    // Most programs end right after they have printed: a moment later the answer is whole.
    this.#hold = setTimeout(() => this.#sendHead(), holdMs)
  }

  #sendHead(): void {
    const first = this.#first
    if (first === undefined) return
    this.#first = undefined
    clearTimeout(this.#hold)
    if (this.#res.destroyed) {
      this.#left()
      return
    }
    this.#res.once('close', this.#left)
    const { length } = this.#response
    if (length !== undefined) this.#headers.push('Content-Length', String(length))
    writeHead(this.#res, this.#response, this.#headers)
    // Not flushHeaders: node would write the head as UTF-8 then.
    if (first.length === 0) this.#res.write('', 'latin1')
    else this.#write(first.length === 1 ? (first[0] as Buffer) : Buffer.concat(first))
  }

  #finish(): void {
    this.#over = true
    const first = this.#first
    if (first === undefined) {
      this.#res.end()
      return
    }
    clearTimeout(this.#hold)
    this.#headers.push('Content-Length', String(this.#bytes))
    writeHead(this.#res, this.#response, this.#headers)
    const body = first.length === 1 ? (first[0] as Buffer) : Buffer.concat(first)
    // As a string it leaves in one write with the head; as a buffer node would send two pieces.
    if (body.length <= heldBytes) this.#res.end(body.toString('latin1'), 'latin1')
    else this.#res.end(body)
  }

  #keep(first: Buffer[], part: Buffer): void {
    first.push(part)
    if (this.#bytes > heldBytes) this.#sendHead()
  }

  #send(chunk: Buffer): boolean {
    const { body } = this.#response
    if (chunk.length < largeBytes || body.recycle === undefined) return this.#res.write(chunk)
    return this.#res.write(chunk, () => body.recycle?.(chunk))
  }

  #write(chunk: Buffer): void {
    if (chunk.length === 0 || this.#send(chunk) || this.#waiting) return
    this.#waiting = true
    this.#response.body.pause()
    this.#res.once('drain', () => {
      this.#waiting = false
      this.#response.body.resume()
    })
  }
}
