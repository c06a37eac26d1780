/**
 * A FastCGI client for programs: one request, one connection, everything as it is said on the wire.
 *
 * For tools and tests, and the door `postern/fastcgi`; the server's own way is `gateway.ts`, which keeps its
 * connections. Streams have backpressure in both directions. What may grow: stderr that nobody reads is kept
 * up to `unreadStderrBytes`, the rest is dropped.
 */
import { createConnection, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fromText } from '../byte-string.js'
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'
import { type Address, describeAddress } from '../upstream/address.js'
import { type FcgiRecord, maxContentBytes, type Role, role } from './record.js'
import { RecordDecoder } from './record-decoder.js'
import { encodeRequest } from './request-encoder.js'
import { streamRecords } from './stream-records.js'
import { createTrace, type RecordTrace } from './trace.js'

/** What to ask. */
export interface ClientRequest {
  readonly address: Address
  /** Default `responder`. */
  readonly role?: Role
  /** Variables: a record holds text, sent as UTF-8; a map holds byte strings, sent as they are. At most 2 MiB. */
  readonly params: Readonly<Record<string, string>> | ReadonlyMap<ByteString, ByteString>
  /** STDIN. Says nothing about CONTENT_LENGTH: that is a variable. */
  readonly body?: Buffer | Readable
  /** DATA, which only a filter reads (FastCGI §6.4). */
  readonly data?: Buffer | Readable
  /** Closes the connection; the answer fails with the signal's reason. */
  readonly signal?: AbortSignal
  /** Milliseconds from now until END_REQUEST. Default and 0: none. */
  readonly timeoutMs?: number
  /** Gets a line for each record, both ways (`trace.ts`). */
  readonly trace?: (line: string) => void
}

/** How the program ended the request. */
export interface ClientEnd {
  /** Exit status of the program, as CGI would have it; unsigned. */
  readonly appStatus: number
  /** 0 complete, 1 cannot multiplex, 2 overloaded, 3 unknown role. */
  readonly protocolStatus: number
}

/** What comes back; stdout must be read (or destroyed) for `ended` to settle. */
export interface ClientAnswer {
  /** CGI head and body, as the program wrote them. Destroying it closes the connection. */
  readonly stdout: Readable
  /** Need not be read. */
  readonly stderr: Readable
  /**
   * Rejects with a GatewayError (UPSTREAM_UNREACHABLE, UPSTREAM_CLOSED, PROTOCOL_ERROR, TOTAL_TIMEOUT), with what
   * the body failed with, or with the signal's reason. Both streams fail with the same.
   */
  readonly ended: Promise<ClientEnd>
}

const unreadStderrBytes = 64 * 1024
/** There is one request on a connection. */
const requestId = 1
const nothing = Buffer.alloc(0)

export class FastCGIClient {
  readonly #running = new Set<Exchange>()

  /**
   * Sends a request on a connection of its own.
   * @throws GatewayError ENVIRONMENT_TOO_LARGE for more than 2 MiB of params
   */
  request(request: ClientRequest): ClientAnswer {
    const exchange = new Exchange(request)
    this.#running.add(exchange)
    exchange.answer.ended.then(
      () => this.#running.delete(exchange),
      () => this.#running.delete(exchange),
    )
    return exchange.answer
  }

  /** Ends the requests that still run; they fail with CLIENT_LEFT. */
  close(): void {
    for (const exchange of this.#running) exchange.fail(new GatewayError('CLIENT_LEFT'))
  }
}

class Exchange {
  readonly answer: ClientAnswer
  readonly #request: ClientRequest
  readonly #beginning: Buffer
  readonly #stdout: Readable
  readonly #stderr: Readable
  readonly #socket: Socket
  readonly #trace: RecordTrace | undefined
  readonly #decoder = new RecordDecoder(record => this.#receive(record))
  readonly #timer: NodeJS.Timeout | undefined
  #settle: { resolve(end: ClientEnd): void; reject(error: unknown): void } | undefined
  #connected = false
  #stdoutEnded = false
  #socketError: NodeJS.ErrnoException | undefined

  constructor(request: ClientRequest) {
    this.#request = request
    this.#beginning = encodeRequest({
      id: requestId,
      role: role[request.role ?? 'responder'],
      keepConnection: false,
      fixedPairs: nothing,
      variables: variablesOf(request.params),
      body: this.#atHand(),
    })
    const read = (): void => void this.#socket.resume()
    this.#stdout = new Readable({ read, destroy: (error, done) => this.#left(error, done) })
    this.#stderr = new Readable({ read })
    // Whoever only waits for `ended` must not be brought down by an event; readers see the failure all the same.
    this.#stdout.on('error', () => {})
    this.#stderr.on('error', () => {})
    const ended = new Promise<ClientEnd>((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    ended.catch(() => {})
    this.answer = { stdout: this.#stdout, stderr: this.#stderr, ended }
    this.#trace = request.trace === undefined ? undefined : createTrace(request.trace)
    this.#socket = this.#connect()
    const { signal, timeoutMs } = request
    if (timeoutMs !== undefined && timeoutMs > 0) {
      this.#timer = setTimeout(() => this.fail(timedOut(timeoutMs, this.#connected)), timeoutMs)
    }
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (signal?.aborted === true) this.#onAbort()
  }

  /** The request is over: everything is released, once. */
  fail(error: unknown): void {
    const settle = this.#release()
    if (settle === undefined) return
    settle.reject(error)
    const reason = error instanceof Error ? error : new Error(String(error))
    this.#stdout.destroy(reason)
    this.#stderr.destroy(reason)
  }

  readonly #onAbort = (): void => this.fail(this.#request.signal?.reason)

  #end(end: ClientEnd): void {
    const settle = this.#release()
    if (settle === undefined) return
    settle.resolve(end)
    if (!this.#stdoutEnded) this.#stdout.push(null)
    this.#stderr.push(null)
  }

  #release() {
    const settle = this.#settle
    this.#settle = undefined
    if (settle === undefined) return undefined
    clearTimeout(this.#timer)
    this.#request.signal?.removeEventListener('abort', this.#onAbort)
    this.#socket.destroy()
    this.#trace?.ended()
    return settle
  }

  /** Nobody reads the answer any more. */
  #left(error: Error | null, done: (error: Error | null) => void): void {
    // A stream that was read to its end is destroyed as well, by itself.
    if (!this.#stdoutEnded) this.fail(error ?? new GatewayError('CLIENT_LEFT'))
    done(error)
  }

  /** The body when it goes with the beginning, in one write. */
  #atHand(): Buffer | undefined {
    const { body = nothing, data } = this.#request
    const fits = Buffer.isBuffer(body) && body.length <= maxContentBytes
    return fits && data === undefined ? body : undefined
  }

  #connect(): Socket {
    const { address } = this.#request
    const socket = createConnection(
      address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port },
    )
    socket.on('connect', () => {
      this.#connected = true
      this.#send()
    })
    socket.on('data', chunk => {
      this.#trace?.received(chunk)
      try {
        this.#decoder.push(chunk)
      } catch (error) {
        this.fail(error)
      }
    })
    socket.on('error', error => {
      this.#socketError = error
    })
    socket.on('close', () => this.#closed())
    return socket
  }

  #send(): void {
    this.#trace?.sent(this.#beginning)
    this.#socket.write(this.#beginning)
    if (this.#atHand() !== undefined) return
    const { body = nothing, data } = this.#request
    // Before `pipeline` closes the socket for it: the body's own error says more.
    if (body instanceof Readable) body.once('error', error => this.fail(error))
    if (data instanceof Readable) data.once('error', error => this.fail(error))
    const records = streamRecords(requestId, body, data, bytes => this.#trace?.sent(bytes))
    // How writing went is nobody's concern: a program may answer without having read (L-1).
    pipeline(records, this.#socket, { end: false }).catch(() => {})
  }

  #receive(record: FcgiRecord): void {
    if (this.#settle === undefined) return
    switch (record.type) {
      case 'stdout':
        if (record.id === requestId) this.#takeStdout(record.content, record.ends)
        return
      case 'stderr':
        if (record.id === requestId && !record.ends) this.#takeStderr(record.content)
        return
      case 'endRequest':
        if (record.id === requestId) this.#end(record)
        return
      case 'getValuesResult':
      case 'unknownType':
      case 'unknown':
        return
      default:
        this.fail(new GatewayError('PROTOCOL_ERROR', `It sent a record ${record.type}.`))
    }
  }

  #takeStdout(content: Buffer, ends: boolean): void {
    if (this.#stdoutEnded) return
    this.#stdoutEnded = ends
    if (!this.#stdout.push(ends ? null : content) && !ends) this.#socket.pause()
  }

  #takeStderr(content: Buffer): void {
    const unread = this.#stderr.readableFlowing === null
    if (unread && this.#stderr.readableLength + content.length > unreadStderrBytes) return
    if (!this.#stderr.push(content) && !unread) this.#socket.pause()
  }

  #closed(): void {
    if (this.#stdoutEnded) {
      this.#end({ appStatus: 0, protocolStatus: 0 })
      return
    }
    const where = describeAddress(this.#request.address)
    const why = this.#socketError?.code ?? this.#socketError?.message
    const middle = this.#decoder.atBoundary ? '' : ' In the middle of a record.'
    const code = this.#connected ? 'UPSTREAM_CLOSED' : 'UPSTREAM_UNREACHABLE'
    const cause = { cause: this.#socketError }
    this.fail(new GatewayError(code, `${where}: ${why ?? 'closed'}.${middle}`, cause))
  }
}

function variablesOf(params: ClientRequest['params']): ReadonlyMap<ByteString, ByteString> {
  if (params instanceof Map) return params
  return new Map(Object.entries(params).map(([name, value]) => [fromText(name), fromText(value)]))
}

function timedOut(timeoutMs: number, connected: boolean): GatewayError {
  const code = connected ? 'TOTAL_TIMEOUT' : 'UPSTREAM_CONNECT_TIMEOUT'
  return new GatewayError(code, `After ${timeoutMs} ms.`)
}
