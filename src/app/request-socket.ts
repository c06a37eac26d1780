/**
 * What node:http takes for the connection of one request: its addresses, its way out and its end.
 *
 * A Duplex whose writable side is the answer; the body goes to the IncomingMessage directly, which is its
 * own buffer. Bounded by the high-water marks of both. Time limits are the web server's: `setTimeout` and
 * its like do nothing.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Duplex } from 'node:stream'
import type { Channel, RequestOwner } from '../cgi/channel.js'
import { brokenOff, type InletReader } from '../cgi/inlet.js'
import type { ByteString } from '../gateway.js'

export class RequestSocket extends Duplex implements RequestOwner, InletReader {
  readonly #channel: Channel
  #request: IncomingMessage | undefined
  #response: ServerResponse | undefined
  #headSent = false
  /** The answer is complete, or never will be. */
  #over = false
  /** The call-back of the write under way, and the length it counts with. */
  #callback: (() => void) | undefined
  #underWay = 0
  #controller: AbortController | undefined
  #aborted = false

  constructor(channel: Channel) {
    super({ decodeStrings: false, autoDestroy: false })
    this.#channel = channel
    channel.owner = this
    channel.stdin.attach(this)
  }

  /** Joins the messages that have been made on this socket. */
  join(request: IncomingMessage, response: ServerResponse): void {
    this.#request = request
    this.#response = response
    response.assignSocket(this.asSocket())
    response.on('finish', finished)
    this.on('drain', drained)
  }

  /** As node:http wants to have it. */
  asSocket(): IncomingMessage['socket'] {
    return this as unknown as IncomingMessage['socket']
  }

  get variables(): ReadonlyMap<ByteString, ByteString> {
    return this.#channel.params
  }

  /** Aborted when the web server gives the request up before it is answered, or is gone. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#aborted) this.#controller.abort(brokenOff())
    }
    return this.#controller.signal
  }

  get remoteAddress(): string | undefined {
    return addressOf(this.variables.get('REMOTE_ADDR'))
  }

  get remotePort(): number | undefined {
    return portOf(this.variables.get('REMOTE_PORT'))
  }

  get localAddress(): string | undefined {
    return addressOf(this.variables.get('SERVER_ADDR'))
  }

  get localPort(): number | undefined {
    return portOf(this.variables.get('SERVER_PORT'))
  }

  /** Whether the client came by TLS. */
  get encrypted(): boolean {
    const https = this.variables.get('HTTPS')
    return https === 'on' || https === '1' || this.variables.get('REQUEST_SCHEME') === 'https'
  }

  setTimeout(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  /** The IncomingMessage reads on. */
  override resume(): this {
    this.#channel.stdin.wanted()
    return this
  }

  override pause(): this {
    return this
  }

  override _read(): void {}

  /** The head of the answer, whole. */
  writeHead(head: ByteString): void {
    this.#headSent = true
    this.#channel.send(head, 'latin1')
  }

  /** What is said of a failure goes to the web server's log. */
  writeError(text: string): void {
    this.#channel.sendError(Buffer.from(text))
  }

  override _write(chunk: Buffer | string, encoding: BufferEncoding, callback: () => void): void {
    // Before the head there are only informational responses, which CGI has no words for.
    if (!this.#headSent) {
      callback()
      return
    }
    this.#underWay = chunk.length
    this.#callback = callback
    this.#channel.send(chunk, encoding)
  }

  override _writev(
    chunks: { chunk: Buffer | string; encoding: BufferEncoding }[],
    callback: () => void,
  ): void {
    if (!this.#headSent) {
      callback()
      return
    }
    this.#callback = callback
    this.#underWay = 0
    for (const { chunk, encoding } of chunks) {
      this.#underWay += chunk.length
      this.#channel.send(chunk, encoding)
    }
  }

  /** With the last of a small answer its end is sent too, in the same write. */
  beforeSending(): void {
    if (this.#over || this.#response?.writableEnded !== true) return
    if (this.writableLength === this.#underWay) this.#finish()
  }

  taken(): void {
    const callback = this.#callback
    if (callback === undefined) return
    this.#callback = undefined
    this.#underWay = 0
    callback()
  }

  abandoned(error: Error): void {
    if (this.#over) return
    this.#over = true
    this.#abort(error)
    this.#channel.finish(0)
    this.#request?.destroy(error)
    this.destroy()
  }

  get unreadBytes(): number {
    return this.#request?.readableLength ?? 0
  }

  accept(content: Buffer): void {
    this.#request?.push(content)
  }

  complete(): void {
    const request = this.#request
    if (request === undefined || request.destroyed) return
    request.complete = true
    request.push(null)
  }

  /** The body broke off; the request may still be answered. */
  fail(error: Error): void {
    const request = this.#request
    if (request === undefined || request.destroyed) return
    // An IncomingMessage that breaks off destroys its socket, unless that is destroyed already.
    Object.defineProperty(this, 'destroyed', { value: true, configurable: true })
    request.destroy(error)
    Reflect.deleteProperty(this, 'destroyed')
  }

  /** There is room again. */
  drained(): void {
    const response = this.#response
    if (response === undefined || response.writableEnded) return
    // node:http's server would reset its flag here; without that, a pipeline would wait for another drain.
    if (!Object.hasOwn(response, 'writableNeedDrain')) {
      Object.defineProperty(response, 'writableNeedDrain', {
        configurable: true,
        get: () => this.writableNeedDrain,
      })
    }
    response.emit('drain')
  }

  /** The last of the answer has been taken. */
  finished(): void {
    this.#finish()
    // Nobody is told of a body that nobody asked for; whoever waits for its end gets it.
    const request = this.#request
    if (request !== undefined && !request.destroyed && request.listenerCount('close') > 0) {
      request.resume()
    }
    // Not at once: a stream that is destroyed in the call-back of its last write makes an error of it.
    process.nextTick(close, this)
  }

  #finish(): void {
    if (this.#over) return
    this.#over = true
    this.#channel.finish(0)
  }

  #abort(error: Error): void {
    this.#aborted = true
    this.#controller?.abort(error)
  }

  override _destroy(_error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.#over) {
      // Destroyed by the application, through `res` or `req`.
      this.#over = true
      const error = brokenOff()
      this.#abort(error)
      this.#channel.breakOff()
      this.#request?.destroy(error)
    }
    callback(null)
  }
}

function finished(this: ServerResponse): void {
  const socket: unknown = this.socket
  if (socket instanceof RequestSocket) socket.finished()
}

function close(socket: RequestSocket): void {
  socket.destroy()
}

function drained(this: Duplex): void {
  if (this instanceof RequestSocket) this.drained()
}

/** `unix:` is no address. */
function addressOf(value: ByteString | undefined): string | undefined {
  return value === undefined || value === '' || value.startsWith('unix:') ? undefined : value
}

function portOf(value: ByteString | undefined): number | undefined {
  return value !== undefined && /^\d{1,5}$/.test(value) ? Number(value) : undefined
}
