/**
 * A request as an application of any role sees it: variables, streams both ways, and an end.
 *
 * The streams are made when they are asked for. Back-pressure is the streams' own: a write is done when
 * the system has taken it.
 */
import { type Readable, Writable } from 'node:stream'
import type { RequestOwner } from '../cgi/channel.js'
import { brokenOff } from '../cgi/inlet.js'
import type { ByteString } from '../gateway.js'
import type { Role } from './record.js'
import type { ResponderRequest } from './responder-request.js'

/** One FastCGI request. */
export interface FastCgiRequest {
  readonly role: Role
  /** Variables by name (RFC 3875 §4.1), with one character per byte. */
  readonly params: ReadonlyMap<ByteString, ByteString>
  /** The body. Errors with code ECONNRESET when it is shorter than CONTENT_LENGTH, or the request is given up. */
  readonly stdin: Readable
  /** The file of a filter (FCGI_DATA), under the same rule with FCGI_DATA_LENGTH. */
  readonly data: Readable
  /** The answer: a CGI head (RFC 3875 §6), an empty line, the body. Text is UTF-8 unless said otherwise. */
  readonly stdout: Writable
  /** The web server's log. */
  readonly stderr: Writable
  /** Aborted when the web server gives the request up or is gone; what is written then is dropped. */
  readonly signal: AbortSignal
  /** Ends the request once all that was written is sent. `appStatus` is an exit status; default 0. */
  end(appStatus?: number): void
}

export class RequestStreams implements FastCgiRequest, RequestOwner {
  readonly #request: ResponderRequest
  readonly #controller = new AbortController()
  #stdout: Output | undefined
  #stderr: Writable | undefined

  constructor(request: ResponderRequest) {
    this.#request = request
    request.owner = this
  }

  get role(): Role {
    return this.#request.role
  }

  get params(): ReadonlyMap<ByteString, ByteString> {
    return this.#request.params
  }

  get stdin(): Readable {
    return this.#request.stdin.readable()
  }

  get data(): Readable {
    return this.#request.data.readable()
  }

  get stdout(): Writable {
    this.#stdout ??= new Output(this.#request)
    return this.#stdout
  }

  get stderr(): Writable {
    this.#stderr ??= new Writable({
      write: (chunk: Buffer, _encoding, callback) => {
        // Text for a log: taken as it comes, a copy of what the writer may use again.
        this.#request.sendError(Buffer.from(chunk))
        callback()
      },
    })
    return this.#stderr
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  end(appStatus = 0): void {
    const stdout = this.#stdout
    if (stdout === undefined || stdout.destroyed) this.#request.finish(appStatus)
    else stdout.end(() => this.#request.finish(appStatus))
  }

  /** The handler failed: its message for the web server's log, and an exit status that is not 0. */
  fail(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#request.sendError(Buffer.from(`${text}\n`))
    this.end(1)
  }

  beforeSending(): void {}

  taken(): void {
    this.#stdout?.taken()
  }

  abandoned(): void {
    this.#controller.abort(brokenOff())
  }
}

class Output extends Writable {
  readonly #request: ResponderRequest
  #taken: (() => void) | undefined

  constructor(request: ResponderRequest) {
    super({ decodeStrings: false })
    this.#request = request
    // Destroyed by its own writer: the answer is not whole.
    this.on('error', () => {})
  }

  taken(): void {
    const callback = this.#taken
    this.#taken = undefined
    callback?.()
  }

  override _write(
    chunk: Buffer | string,
    encoding: BufferEncoding,
    callback: (error?: Error | null) => void,
  ): void {
    this.#taken = callback
    this.#request.send(chunk, encoding)
  }

  override _writev(
    chunks: { chunk: Buffer | string; encoding: BufferEncoding }[],
    callback: (error?: Error | null) => void,
  ): void {
    this.#taken = callback
    for (const { chunk, encoding } of chunks) this.#request.send(chunk, encoding)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.writableFinished) this.#request.breakOff()
    callback(error)
  }
}
