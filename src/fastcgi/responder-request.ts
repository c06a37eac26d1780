/**
 * One request of a connection, as the records tell it: PARAMS, then the streams, then its end.
 *
 * It knows neither sockets nor HTTP: what it sends goes through the connection's output, and whoever
 * answers it is its owner. Bounded by the limits on PARAMS and on what is held of each stream.
 */
import type { RequestOwner } from '../cgi/channel.js'
import { brokenOff, type Gate, Inlet } from '../cgi/inlet.js'
import type { ByteString } from '../gateway.js'
import { PairReader } from './name-value.js'
import type { Role } from './record.js'
import type { ResponderLimits } from './responder-options.js'
import type { OutputSource, ResponderOutput } from './responder-output.js'
import { PendingRecords } from './responder-records.js'

/** What the connection is told. */
export interface RequestHome extends Gate {
  readonly output: ResponderOutput
  /** END_REQUEST has been given. */
  ended(request: ResponderRequest): void
  /** The answer broke off: closes the connection instead of END_REQUEST, unless others are on it; then false. */
  closeInstead(request: ResponderRequest): boolean
}

/** Pairs in one request; a head of 100 fields and the usual variables are far from it. */
const maxPairs = 10_000

export class ResponderRequest implements OutputSource {
  readonly id: number
  readonly role: Role
  readonly keepConnection: boolean
  /** Variables as they came: name, value, name, value… */
  readonly pairs: ByteString[] = []
  readonly stdin: Inlet
  queued = false
  owner: RequestOwner | undefined
  /** The peer has ended STDIN. */
  stdinEnded = false
  readonly #home: RequestHome
  readonly #pending: PendingRecords
  readonly #limits: ResponderLimits
  #reader: PairReader | undefined
  #params: Map<ByteString, ByteString> | undefined
  #contentLength: ByteString | undefined
  #data: Inlet | undefined
  #over = false

  constructor(
    id: number,
    role: Role,
    keepConnection: boolean,
    home: RequestHome,
    limits: ResponderLimits,
  ) {
    this.id = id
    this.role = role
    this.keepConnection = keepConnection
    this.#home = home
    this.#pending = new PendingRecords(id)
    this.#limits = limits
    this.#reader = new PairReader(
      { bytes: limits.maxParamsBytes, pairs: maxPairs },
      (name, value) => this.#takePair(name, value),
    )
    this.stdin = new Inlet(home, limits.maxBufferedBytes)
  }

  /** Variables by name; of two with the same name the last. Made when it is asked for. */
  get params(): ReadonlyMap<ByteString, ByteString> {
    if (this.#params === undefined) {
      this.#params = new Map()
      for (let at = 0; at < this.pairs.length; at += 2) {
        this.#params.set(this.pairs[at] ?? '', this.pairs[at + 1] ?? '')
      }
    }
    return this.#params
  }

  /** DATA of a filter. */
  get data(): Inlet {
    this.#data ??= new Inlet(this.#home, this.#limits.maxBufferedBytes)
    return this.#data
  }

  /** END_REQUEST has been given, or the connection is gone. */
  get over(): boolean {
    return this.#over
  }

  /** Content of PARAMS. @throws GatewayError PROTOCOL_ERROR past a limit */
  pushParams(content: Buffer): void {
    this.#reader?.push(content)
  }

  /** PARAMS is complete. False when it had been before. @throws GatewayError PROTOCOL_ERROR in the middle of a pair */
  endParams(): boolean {
    if (this.#reader === undefined) return false
    this.#reader.end()
    this.#reader = undefined
    return true
  }

  /** Sets how many bytes each stream must have, once the reader is attached. */
  expectBody(): void {
    this.stdin.expect(this.#contentLength)
    if (this.role === 'filter') this.data.expect(this.params.get('FCGI_DATA_LENGTH'))
  }

  /** STDOUT. `taken` of the owner follows, however it ends; a buffer must not change until then. */
  send(data: Buffer | string, encoding: BufferEncoding): void {
    if (!this.#over) this.#pending.add(data, encoding)
    this.#home.output.mark(this)
  }

  /** STDERR: the web server's log. */
  sendError(data: Buffer): void {
    if (this.#over) return
    this.#pending.addError(data)
    this.#home.output.mark(this)
  }

  /** The request is over: STDOUT and END_REQUEST are sent, unread STDIN is dropped. Further calls do nothing. */
  finish(appStatus: number): void {
    if (this.#over) return
    this.#pending.end(appStatus)
    this.#close()
  }

  /** The answer cannot be completed: the peer must see that (truncated, conventions E-31). */
  breakOff(): void {
    if (this.#over) return
    if (this.#home.closeInstead(this)) this.#close()
    else this.finish(1)
  }

  /** FCGI_ABORT_REQUEST (§5.4): the owner is told and ends the request; what it still writes is of no use. */
  abort(): void {
    if (this.#over) return
    const error = brokenOff()
    this.owner?.abandoned(error)
    this.stdin.fail(error)
    this.#data?.fail(error)
  }

  /** The connection is gone. */
  lose(): void {
    if (this.#over) return
    this.#over = true
    this.#pending.drop()
    const error = brokenOff()
    this.owner?.abandoned(error)
    this.stdin.fail(error)
    this.#data?.fail(error)
  }

  takeRecords(target: Buffer[]): void {
    this.owner?.beforeSending()
    this.#pending.take(target)
  }

  recordsTaken(): void {
    this.owner?.taken()
  }

  #takePair(name: ByteString, value: ByteString): void {
    this.pairs.push(name, value)
    if (name === 'CONTENT_LENGTH') this.#contentLength = value
  }

  #close(): void {
    this.#over = true
    this.#home.output.mark(this)
    this.stdin.close()
    this.#data?.close()
    this.#home.ended(this)
  }
}
