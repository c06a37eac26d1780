/**
 * One connection to an application: records of several requests out, records to the request they belong to
 * in (FastCGI §3).
 *
 * Knows ids and streams, no HTTP; whose turn it is to use it is `connections.ts`. What grows: the requests
 * on it, bounded by whoever begins them. Bytes are not collected here: who writes waits for `drained`, who
 * cannot take more pauses the connection.
 */
import { WorkerSocket } from '../backend/worker-socket.js'
import { asGatewayError, GatewayError } from '../errors.js'
import { type Address, describeAddress } from '../upstream/address.js'
import { OutputOfRead } from './output-of-read.js'
import { encodeAbortRequest, encodeStreamHeader, type FcgiRecord } from './record.js'
import { RecordDecoder } from './record-decoder.js'
import { streamRecords } from './stream-content.js'
import type { RecordTrace } from './trace.js'

/** What a request on a connection is told. */
export interface ConnectionRequest {
  /** There is a connection: what takes back no byte may be written now. Called before anything else, if at all. */
  connected(): void
  /** A piece of STDOUT, to keep. */
  stdout(content: Buffer): void
  stdoutEnd(): void
  stderr(content: Buffer): void
  /** END_REQUEST: its id is free again, nothing more comes. */
  end(appStatus: number, protocolStatus: number): void
  /** The connection is gone before END_REQUEST, nothing more comes. */
  gone(error: GatewayError, connected: boolean): void
  /** What waited to be written has been taken. */
  drained(): void
  /** The application reads no more; it may still answer. */
  deaf(): void
}

export interface ConnectionOptions {
  readonly address: Address
  /** 0: no limit. */
  readonly connectMs: number
  readonly trace?: RecordTrace | undefined
  /** Called once, when the first bytes have come. */
  readonly onHeard?: (connection: FastCgiConnection) => void
  /** Called once, after its requests were told. */
  readonly onGone: (connection: FastCgiConnection) => void
}

export class FastCgiConnection {
  readonly address: Address
  /** When its last request was over; for who keeps it. */
  idleSince = 0
  readonly #options: ConnectionOptions
  readonly #socket: WorkerSocket
  readonly #decoder: RecordDecoder
  /** By id; 0 is nobody's (§3.3). */
  readonly #requests: (ConnectionRequest | undefined)[] = [undefined]
  /** Requests that nobody waits for, and whose END_REQUEST does not come. */
  readonly #givenUp = new Set<number>()
  #active = 0
  #connected = false
  #heard = false
  #gone = false
  #pauses = 0
  #connecting: NodeJS.Timeout | undefined
  /** It has carried a request to its end: it may have been closed since then (G-19). */
  #isKept = false
  /** STDOUT of one request out of the read that is being decoded. */
  readonly #output = new OutputOfRead()

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.address = options.address
    this.#decoder = new RecordDecoder(record => this.#take(record))
    const socket = new WorkerSocket({
      received: chunk => this.#received(chunk),
      deaf: () => this.#tell(request => request.deaf()),
    })
    this.#socket = socket
    socket.on('connect', () => {
      this.#connected = true
      clearTimeout(this.#connecting)
      this.#tell(request => request.connected())
    })
    socket.on('drain', () => this.#tell(request => request.drained()))
    socket.on('end', () => this.close(this.#closed('It closed the connection.')))
    socket.on('error', error => this.close(this.#closed(codeOf(error))))
    socket.on('close', () => this.close(this.#closed('It closed the connection.')))
    this.#connect()
  }

  /** Requests on it. */
  get active(): number {
    return this.#active
  }

  get isKept(): boolean {
    return this.#isKept
  }

  get isConnected(): boolean {
    return this.#connected
  }

  /** Whether another request may begin. */
  get isUsable(): boolean {
    return !this.#gone && !this.#socket.isDeaf && this.#givenUp.size === 0
  }

  /** Whether the application was seen to read no more. */
  get isDeaf(): boolean {
    return this.#socket.isDeaf
  }

  /** Gives the request the lowest free id. */
  begin(request: ConnectionRequest): number {
    let id = 1
    while (this.#requests[id] !== undefined) id++
    this.#requests[id] = request
    this.#active++
    return id
  }

  /** Takes a request off of which nothing was written. */
  forget(id: number): void {
    this.#requests[id] = undefined
    this.#active--
  }

  /** Waits no longer for END_REQUEST: closes as soon as there is no other request (G-17, G-18). */
  giveUp(id: number): void {
    this.#givenUp.add(id)
    this.#closeIfGivenUp()
  }

  #closeIfGivenUp(): void {
    if (this.#givenUp.size === 0 || this.#givenUp.size < this.#active) return
    this.close(new GatewayError('UPSTREAM_CLOSED', 'It did not end requests that were aborted.'))
  }

  /** Takes the bytes whole; false when `drained` should be waited for. */
  write(bytes: Buffer): boolean {
    if (this.#gone || this.#socket.isDeaf) return true
    this.#options.trace?.sent(bytes)
    this.#socket.write(bytes)
    return this.#isTaken()
  }

  /** Writes a piece of a stream as records of at most 32 KiB, padded to 8; false as in `write`. */
  writeStream(stream: 'stdin' | 'data', id: number, chunk: Buffer): boolean {
    if (this.#gone || this.#socket.isDeaf) return true
    const parts = streamRecords(stream, id, chunk)
    this.#socket.cork()
    for (const part of parts) {
      this.#options.trace?.sent(part)
      this.#socket.write(part)
    }
    this.#socket.uncork()
    return this.#isTaken()
  }

  /** The record without content that ends a stream (§3.3). */
  endStream(stream: 'stdin' | 'data', id: number): void {
    this.write(encodeStreamHeader(stream, id, 0, 0))
  }

  /** ABORT_REQUEST (§5.4); END_REQUEST is still to come. */
  abort(id: number): void {
    this.write(encodeAbortRequest(id))
  }

  /** Reads no more until `resume` was called as often. */
  pause(): void {
    if (this.#pauses++ === 0) this.#socket.pause()
  }

  resume(): void {
    if (--this.#pauses === 0 && !this.#gone) this.#socket.resume()
  }

  /** A piece of STDOUT that a request was told is not needed any more: its memory may be read into. */
  recycle(chunk: Buffer): void {
    this.#socket.recycle(chunk)
  }

  /** Closes at once; requests on it are told `error`. */
  close(error: GatewayError): void {
    if (this.#gone) return
    this.#gone = true
    clearTimeout(this.#connecting)
    this.#socket.destroy()
    this.#options.trace?.ended()
    for (const [id, request] of this.#requests.entries()) {
      if (request === undefined) continue
      this.#requests[id] = undefined
      this.#active--
      request.gone(error, this.#connected)
    }
    this.#options.onGone(this)
  }

  #connect(): void {
    const { address, connectMs } = this.#options
    if (connectMs > 0) {
      this.#connecting = setTimeout(() => {
        const said = `${describeAddress(address)} did not within ${connectMs} ms.`
        this.close(new GatewayError('UPSTREAM_CONNECT_TIMEOUT', said))
      }, connectMs)
    }
    this.#socket.connectTo(address)
  }

  /** Why it is gone, by whether there ever was a connection. */
  #closed(why: string): GatewayError {
    if (this.#connected) return new GatewayError('UPSTREAM_CLOSED', why)
    return new GatewayError('UPSTREAM_UNREACHABLE', `${describeAddress(this.address)}: ${why}`)
  }

  /**
   * What was written is with the system: better than the word of `write`, which counts what has left already.
   * Node says `drain` only after a write that it answered with false: anything else may go on.
   */
  #isTaken(): boolean {
    return this.#socket.writableLength === 0 || !this.#socket.writableNeedDrain
  }

  #received(chunk: Buffer): void {
    if (this.#gone) return
    this.#options.trace?.received(chunk)
    if (!this.#heard) {
      this.#heard = true
      this.#options.onHeard?.(this)
    }
    this.#output.begin(chunk)
    try {
      this.#decoder.push(chunk)
      this.#handOn()
    } catch (error) {
      this.#handOn()
      this.close(asGatewayError(error))
    }
  }

  /** Gives STDOUT that has been gathered to its request. */
  #handOn(): void {
    const { id } = this.#output
    const content = this.#output.take()
    if (content !== undefined) this.#requests[id]?.stdout(content)
  }

  /** G-14: what belongs to nobody is ignored. G-15: what only we may send is an error. */
  #take(record: FcgiRecord): void {
    if (record.type === 'stdout' && !record.ends) {
      if (this.#output.add(record.id, record.content)) return
      this.#handOn()
      this.#output.add(record.id, record.content)
      return
    }
    this.#handOn()
    switch (record.type) {
      case 'stdout':
        this.#requests[record.id]?.stdoutEnd()
        return
      case 'stderr':
        if (!record.ends) this.#requests[record.id]?.stderr(record.content)
        return
      case 'endRequest': {
        const request = this.#requests[record.id]
        if (request === undefined) return
        this.#requests[record.id] = undefined
        this.#active--
        this.#isKept = true
        this.#givenUp.delete(record.id)
        request.end(record.appStatus, record.protocolStatus)
        this.#closeIfGivenUp()
        return
      }
      case 'getValuesResult':
      case 'unknownType':
      case 'unknown':
        return
      case 'beginRequest':
      case 'abortRequest':
      case 'params':
      case 'stdin':
      case 'data':
      case 'getValues':
        throw new GatewayError('PROTOCOL_ERROR', `It sent ${record.type}, which is ours to send.`)
      default:
        record satisfies never
    }
  }

  #tell(what: (request: ConnectionRequest) => void): void {
    for (const request of this.#requests) if (request !== undefined) what(request)
  }
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : error.message
}
