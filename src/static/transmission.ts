/**
 * One open file on its way to one client.
 *
 * The package `send` decides: media type, ranges, conditions. What it decided is read here, from the
 * descriptor that was checked, never by name again: so any name works, nothing can be exchanged in
 * between, and a file that changes meanwhile is noticed. In memory is at most one piece of 256 KiB.
 */
import { closeSync, createReadStream, fstatSync, read, type Stats } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'
import type { OpenFile } from './locate.js'

/** The package `send`. */
export type Send = typeof import('send')

/** How a file is sent. */
export interface Manner {
  readonly status: number
  /** name, value… */
  readonly headers: readonly ByteString[]
  /** Ranges and conditions. They mean a 200, so a file sent with another status has none. */
  readonly partial: boolean
  /** Say that caches must ask again. A program's answer may be private: there it decides. */
  readonly cacheControl: boolean
}

/** Read at once; a file up to this size takes one turn of the event loop. */
const READ_BYTES = 256 * 1024
/** Last-Modified counts seconds: a younger file may change again within the one it names (L-10). */
const UNSURE_DATE_MS = 2000
/** The system stamps files with a clock that ticks every 1 to 10 ms. */
const UNSURE_TAG_MS = 15

/** Sends one file; owns its descriptor from the start. */
export class Transmission {
  readonly #send: Send
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  readonly #file: OpenFile
  readonly #still: boolean
  #reading = false

  /** `still`: refuse a file that changes while it is read, even when enough bytes are there. */
  constructor(
    send: Send,
    req: IncomingMessage,
    res: ServerResponse,
    file: OpenFile,
    still: boolean,
  ) {
    this.#send = send
    this.#req = req
    this.#res = res
    this.#file = file
    this.#still = still
  }

  /**
   * Settles when the response is over or the client has gone.
   * @throws GatewayError TRUNCATED when the file changed, INTERNAL when it cannot be read: before the head
   * was sent, with `res` as it was; after it, with the connection destroyed
   */
  run(manner: Manner): Promise<void> {
    return new Promise((resolve, reject) => {
      const before = this.#res.getHeaderNames()
      const fail = (error: Error): void => reject(breakOff(this.#res, before, error))
      try {
        if (this.#res.destroyed) resolve()
        else this.#start(manner, resolve, fail)
      } catch (error) {
        // A field that node:http refuses.
        fail(error as Error)
      } finally {
        if (!this.#reading) closeSync(this.#file.fd)
      }
    })
  }

  #start(manner: Manner, resolve: () => void, fail: (error: Error) => void): void {
    const res = this.#res
    const { status, headers, partial, cacheControl } = manner
    const { stat, name } = this.#file
    res.statusCode = status
    for (let i = 0; i < headers.length; i += 2) {
      res.appendHeader(headers[i] ?? '', headers[i + 1] ?? '')
    }
    if (partial) setValidators(res, stat)
    res.once('close', resolve)
    // A write that comes after the client has gone.
    res.on('error', () => {})

    const asked = partial ? this.#req : unconditional(this.#req)
    const sending = this.#send(asked, '/', {
      etag: false,
      lastModified: false,
      acceptRanges: partial,
      cacheControl,
    })
    sending.on('error', (error: Error & { status?: number }) => {
      if (error.status === 412 || error.status === 416) endEmpty(res, error.status)
      else fail(error)
    })
    Object.assign(sending, {
      // Its own `pipe` would set this, and then look at the path again, which may be another file by now.
      res,
      // And its own `stream` would open that path, and take a file that has become shorter for whole.
      stream: (_path: string, { start }: { start: number }) => this.#stream(start, fail),
    })
    sending.send(name, stat)
  }

  /** Sends the `Content-Length` bytes from `start`. */
  #stream(start: number, fail: (error: Error) => void): void {
    const res = this.#res
    const { fd } = this.#file
    const length = Number(res.getHeader('Content-Length'))
    this.#reading = true
    if (length <= READ_BYTES) {
      this.#sendWhole(start, length, fail)
      return
    }
    const end = start + length - 1
    const stream = createReadStream('', { fd, start, end, highWaterMark: READ_BYTES })
    stream.on('error', fail)
    stream.once('end', () => {
      if (stream.bytesRead < length) fail(changed())
    })
    res.once('close', () => stream.destroy())
    stream.pipe(res)
  }

  #sendWhole(start: number, length: number, fail: (error: Error) => void): void {
    const { fd, stat } = this.#file
    read(fd, Buffer.allocUnsafe(length), 0, length, start, (error, bytesRead, bytes) => {
      const { size, mtimeMs } = fstatSync(fd)
      closeSync(fd)
      const moved = this.#still && (size !== stat.size || mtimeMs !== stat.mtimeMs)
      if (error !== null) fail(error)
      else if (bytesRead < length || moved) fail(changed())
      else if (!this.#res.destroyed) this.#res.end(bytes)
    })
  }
}

/** What is sent must not look whole. */
function changed(): GatewayError {
  return new GatewayError('TRUNCATED', 'The file was changed while it was being sent.')
}

/** L-10: a validator that a rewritten file could share is not given away. */
function setValidators(res: ServerResponse, { size, mtimeMs }: Stats): void {
  const ageMs = Date.now() - mtimeMs
  if (!res.hasHeader('ETag')) {
    const tag = `${size.toString(36)}-${Math.floor(mtimeMs * 1000).toString(36)}`
    // Within one tick of the clock two versions look the same: this one's tag is never seen again.
    const unique = ageMs < UNSURE_TAG_MS ? `-${process.hrtime.bigint().toString(36)}` : ''
    res.setHeader('ETag', `"${tag}${unique}"`)
  }
  if (!res.hasHeader('Last-Modified') && ageMs >= UNSURE_DATE_MS) {
    res.setHeader('Last-Modified', new Date(mtimeMs).toUTCString())
  }
}

/** The request without its fields: `send` reads the method and the fields, nothing else. */
function unconditional({ method }: IncomingMessage): IncomingMessage {
  return { method, headers: {} } as IncomingMessage
}

/** 412 and 416: what was set for the file does not hold for the answer. */
function endEmpty(res: ServerResponse, status: number): void {
  res.statusCode = status
  res.removeHeader('Content-Type')
  res.setHeader('Content-Length', 0)
  res.end()
}

/** The error for a file that cannot be read; `res` is as it was before, or destroyed when that is too late. */
function breakOff(res: ServerResponse, before: readonly string[], cause: Error): GatewayError {
  if (res.headersSent) {
    res.destroy()
  } else {
    for (const name of res.getHeaderNames()) {
      if (!before.includes(name)) res.removeHeader(name)
    }
    res.statusCode = 200
  }
  if (cause instanceof GatewayError) return cause
  const { code = cause.message } = cause as NodeJS.ErrnoException
  return new GatewayError('INTERNAL', `Reading a file failed with ${code}.`, { cause })
}
