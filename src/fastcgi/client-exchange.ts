/**
 * One request of the client: its connection, its streams, and the one end that it comes to.
 *
 * Every way out goes through `#release`, once. Streams have backpressure in both directions; of a body one
 * chunk is held here, of stderr that nobody reads `unreadStderrBytes`.
 */
import { Readable } from 'node:stream'
import { fromText } from '../byte-string.js'
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'
import type { ClientAnswer, ClientEnd, ClientRequest } from './client.js'
import { type ConnectionRequest, FastCgiConnection } from './connection.js'
import { maxContentBytes, protocolStatus, role } from './record.js'
import { encodeRequest } from './request-encoder.js'
import { createTrace } from './trace.js'

const unreadStderrBytes = 64 * 1024
/** Of a large body, handed to the connection at once. */
const sliceBytes = 256 * 1024
/** What a connection gives its only request. */
const firstId = 1
const nothing = Buffer.alloc(0)

/** One request and its connection. */
export class ClientExchange implements ConnectionRequest {
  readonly answer: ClientAnswer
  readonly #request: ClientRequest
  readonly #beginning: Buffer
  readonly #connection: FastCgiConnection
  readonly #id: number
  readonly #stdout: Readable
  readonly #stderr: Readable
  readonly #timer: NodeJS.Timeout | undefined
  #settle: { resolve(end: ClientEnd): void; reject(error: unknown): void } | undefined
  #isConnected = false
  #stdoutEnded = false
  #isPaused = false
  #drained: (() => void) | undefined

  constructor(request: ClientRequest) {
    this.#request = request
    const { address, signal, timeoutMs = 0, trace } = request
    this.#beginning = encodeRequest({
      id: firstId,
      role: role[request.role ?? 'responder'],
      keepConnection: false,
      fixedPairs: nothing,
      variables: variablesOf(request.params),
      body: this.#bodyAtHand(),
    })
    const read = (): void => this.#goOn()
    this.#stdout = new Readable({ read, destroy: (error, done) => this.#left(error, done) })
    this.#stderr = new Readable({ read })
    // Whoever only waits for `ended` must not be brought down by an event; readers see the failure all the same.
    this.#stdout.on('error', () => {})
    this.#stderr.on('error', () => {})
    for (const source of [request.body, request.data]) {
      if (source instanceof Readable) source.on('error', error => this.fail(error))
    }
    const ended = new Promise<ClientEnd>((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    ended.catch(() => {})
    this.answer = { stdout: this.#stdout, stderr: this.#stderr, ended }
    this.#connection = new FastCgiConnection({
      address,
      connectMs: 0,
      trace: trace === undefined ? undefined : createTrace(trace),
      onGone: () => {},
    })
    this.#id = this.#connection.begin(this)
    if (timeoutMs > 0) this.#timer = setTimeout(() => this.#late(timeoutMs), timeoutMs)
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (signal?.aborted === true) this.#onAbort()
  }

  /** The request is over without an answer: everything is released, once. */
  fail(error: unknown): void {
    const settle = this.#release()
    if (settle === undefined) return
    settle.reject(error)
    const reason = error instanceof Error ? error : new Error(String(error))
    this.#stdout.destroy(reason)
    this.#stderr.destroy(reason)
  }

  connected(): void {
    this.#isConnected = true
    this.#connection.write(this.#beginning)
    if (this.#bodyAtHand() === undefined) this.#sendStreams()
  }

  stdout(content: Buffer): void {
    if (!this.#stdoutEnded && !this.#stdout.push(content)) this.#pause()
  }

  stdoutEnd(): void {
    if (this.#stdoutEnded) return
    this.#stdoutEnded = true
    this.#stdout.push(null)
  }

  stderr(content: Buffer): void {
    const isRead = this.#stderr.readableFlowing !== null
    if (!isRead && this.#stderr.readableLength + content.length > unreadStderrBytes) return
    if (!this.#stderr.push(content) && isRead) this.#pause()
  }

  end(appStatus: number, protocolStatus: number): void {
    const settle = this.#release()
    if (settle === undefined) return
    this.stdoutEnd()
    this.#stderr.push(null)
    settle.resolve({ appStatus, protocolStatus })
  }

  gone(error: GatewayError): void {
    // G-8: what closes after the end of STDOUT has answered.
    if (this.#stdoutEnded) this.end(0, protocolStatus.requestComplete)
    else this.fail(error)
  }

  drained(): void {
    this.#drained?.()
  }

  /** L-1: it may answer all the same. */
  deaf(): void {
    this.#stopSending()
  }

  async #sendStreams(): Promise<void> {
    const { body = nothing, data } = this.#request
    try {
      await this.#sendStream('stdin', body)
      if (data !== undefined) await this.#sendStream('data', data)
    } catch (error) {
      // One that was destroyed because nobody reads it has not failed.
      if (!this.#isDone()) this.fail(error)
    }
  }

  async #sendStream(stream: 'stdin' | 'data', source: Buffer | Readable): Promise<void> {
    for await (const chunk of Buffer.isBuffer(source) ? slices(source) : source) {
      if (this.#isDone()) return
      // Strings are what `Readable.from('text')` gives.
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
      if (this.#connection.writeStream(stream, this.#id, bytes)) continue
      await new Promise<void>(resolve => {
        this.#drained = resolve
      })
    }
    if (!this.#isDone()) this.#connection.endStream(stream, this.#id)
  }

  #isDone(): boolean {
    return this.#settle === undefined || this.#connection.isDeaf
  }

  #stopSending(): void {
    this.#drained?.()
    for (const source of [this.#request.body, this.#request.data]) {
      if (source instanceof Readable) source.destroy()
    }
  }

  readonly #onAbort = (): void => this.fail(this.#request.signal?.reason)

  #late(timeoutMs: number): void {
    const code = this.#isConnected ? 'TOTAL_TIMEOUT' : 'UPSTREAM_CONNECT_TIMEOUT'
    this.fail(new GatewayError(code, `After ${timeoutMs} ms.`))
  }

  #release() {
    const settle = this.#settle
    this.#settle = undefined
    if (settle === undefined) return undefined
    clearTimeout(this.#timer)
    this.#request.signal?.removeEventListener('abort', this.#onAbort)
    this.#connection.close(new GatewayError('CLIENT_LEFT'))
    this.#stopSending()
    return settle
  }

  /** Nobody reads the answer any more. */
  #left(error: Error | null, done: (error: Error | null) => void): void {
    // A stream that was read to its end is destroyed as well, by itself.
    if (!this.#stdoutEnded) this.fail(error ?? new GatewayError('CLIENT_LEFT'))
    done(error)
  }

  /** The body when it goes with the beginning, in one write. */
  #bodyAtHand(): Buffer | undefined {
    const { body = nothing, data } = this.#request
    const fits = Buffer.isBuffer(body) && body.length <= maxContentBytes
    return fits && data === undefined ? body : undefined
  }

  #pause(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.#connection.pause()
  }

  #goOn(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#connection.resume()
  }
}

function* slices(bytes: Buffer): Iterable<Buffer> {
  for (let at = 0; at < bytes.length; at += sliceBytes) yield bytes.subarray(at, at + sliceBytes)
}

function variablesOf(params: ClientRequest['params']): ReadonlyMap<ByteString, ByteString> {
  if (params instanceof Map) return params
  return new Map(Object.entries(params).map(([name, value]) => [fromText(name), fromText(value)]))
}
