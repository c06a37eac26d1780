/**
 * One connection of a web server to a responder: records in, to the request they belong to, and the
 * answers that the protocol itself gives (FastCGI §3 to §5; conventions G-42 to G-52).
 *
 * May grow: a record type. Bounded by the requests that the host admits and by what each may hold; past
 * that the socket is paused.
 */
import type { Socket } from 'node:net'
import { encodeEndRequest, encodeUnknownType, type FcgiRecord, protocolStatus } from './record.js'
import { RecordDecoder } from './record-decoder.js'
import { encodeKnownValues, type ResponderLoad, refusalOf, roleOf } from './responder-answers.js'
import { ResponderOutput } from './responder-output.js'
import { type RequestHome, ResponderRequest } from './responder-request.js'

/** What the connections of one responder share. */
export interface ResponderHost extends ResponderLoad {
  active: number
  /** Variables are complete: hands the request to the application. Must not throw. */
  begin(request: ResponderRequest): void
}

/** Ids up to this one keep their place in the table when no request has them. */
const keptIds = 256

export class ResponderConnection implements RequestHome {
  readonly output: ResponderOutput
  readonly #socket: Socket
  readonly #host: ResponderHost
  readonly #decoder = new RecordDecoder(record => this.#onRecord(record))
  /** By id; undefined: none is active. Ids are used again and again, and a Map that loses and gains keys is remade. */
  readonly #requests = new Map<number, ResponderRequest | undefined>()
  #active = 0
  /** Inlets that have more than they may. */
  #holds = 0
  #closeWhenIdle = false
  #state: 'open' | 'half-closed' | 'closed' = 'open'
  /** What comes is not understood any more, only dropped. */
  #deaf = false

  constructor(socket: Socket, host: ResponderHost) {
    this.#socket = socket
    this.#host = host
    this.output = new ResponderOutput(socket)
    socket.on('data', chunk => this.#onData(chunk))
    // A FIN is a peer that has gone: web servers do not half-close, and most never send ABORT (G-17).
    socket.on('end', () => this.#lost())
    socket.on('close', () => this.#lost())
    // A reset: `close` follows.
    socket.on('error', () => {})
  }

  /** Takes no further requests and closes when there are none. */
  drain(): void {
    this.#closeWhenIdle = true
    if (this.#active === 0) this.#close()
  }

  hold(): void {
    if (++this.#holds === 1) this.#socket.pause()
  }

  release(): void {
    if (--this.#holds === 0) this.#socket.resume()
  }

  ended(request: ResponderRequest): void {
    if (!this.#forget(request)) return
    if (!request.keepConnection) this.#closeWhenIdle = true
    if (!this.#closeWhenIdle || this.#active > 0) return
    if (request.stdinEnded) this.#close()
    else this.#halfClose()
  }

  closeInstead(request: ResponderRequest): boolean {
    if (this.#active > 1 || this.#requests.get(request.id) !== request) return false
    this.#close()
    return true
  }

  #onData(chunk: Buffer): void {
    if (this.#deaf) return
    try {
      this.#decoder.push(chunk)
    } catch (error) {
      this.#refuse(error instanceof Error ? error.message : String(error))
    }
  }

  /** The peer broke the protocol: nothing that follows can be trusted. */
  #refuse(reason: string): void {
    if (this.#deaf) return
    this.#log(`${reason} The connection is closed.`)
    this.#halfClose()
    this.#lost()
  }

  #onRecord(record: FcgiRecord): void {
    switch (record.type) {
      case 'beginRequest':
        this.#begin(record.id, record.role, record.keepConnection)
        return
      case 'abortRequest':
        this.#requests.get(record.id)?.abort()
        return
      case 'params':
        this.#params(record.id, record.content, record.ends)
        return
      case 'stdin':
        this.#stdin(record.id, record.content, record.ends)
        return
      case 'data':
        this.#data(record.id, record.content, record.ends)
        return
      case 'getValues':
        this.output.record(encodeKnownValues(record.values, this.#host.settings))
        return
      case 'unknown':
        // §4.2; for a request there is no such answer, and it is ignored.
        if (record.id === 0) this.output.record(encodeUnknownType(record.code))
        return
      // Records that only an application sends.
      case 'endRequest':
      case 'stdout':
      case 'stderr':
      case 'getValuesResult':
      case 'unknownType':
        return
      default:
        record satisfies never
    }
  }

  #begin(id: number, roleCode: number, keepConnection: boolean): void {
    if (this.#state !== 'open') return
    if (id === 0 || this.#requests.get(id) !== undefined) {
      this.#refuse(id === 0 ? 'A request has the id 0.' : `Request ${id} has begun twice.`)
      return
    }
    const role = roleOf(roleCode)
    if (role === undefined) {
      this.#turnAway(id, keepConnection, protocolStatus.unknownRole)
      return
    }
    const refusal = refusalOf(role, this.#host, this.#active)
    if (refusal !== undefined) {
      this.#turnAway(id, keepConnection, refusal)
      return
    }
    const { settings } = this.#host
    this.#host.active++
    this.#active++
    this.#requests.set(id, new ResponderRequest(id, role, keepConnection, this, settings))
  }

  /** The rest of such a request is ignored, as its id is not active (§3.3). */
  #turnAway(id: number, keepConnection: boolean, status: number): void {
    this.output.record(encodeEndRequest(id, 0, status))
    if (keepConnection) return
    this.#closeWhenIdle = true
    if (this.#active === 0) this.#halfClose()
  }

  #params(id: number, content: Buffer, ends: boolean): void {
    const request = this.#requests.get(id)
    if (request === undefined) return
    try {
      if (!ends) request.pushParams(content)
      if (!ends || !request.endParams()) return
    } catch (error) {
      // Its END is sent, so that the web server sees an answer and not only a closed connection (G-52).
      request.finish(1)
      this.#refuse(error instanceof Error ? error.message : String(error))
      return
    }
    this.#host.begin(request)
  }

  #stdin(id: number, content: Buffer, ends: boolean): void {
    const request = this.#requests.get(id)
    if (request === undefined) {
      // The rest of a body that was not read has come: now nothing is left to reset (G-50).
      if (ends && this.#state === 'half-closed') this.#close()
      return
    }
    if (!ends) {
      request.stdin.push(content)
      return
    }
    request.stdinEnded = true
    request.stdin.end()
  }

  #data(id: number, content: Buffer, ends: boolean): void {
    const data = this.#requests.get(id)?.data
    if (ends) data?.end()
    else data?.push(content)
  }

  /** Closes once all is sent. */
  #close(): void {
    this.#state = 'closed'
    this.#deaf = true
    this.output.end('both')
  }

  /** Closes our side once all is sent, and drops what comes: to close both would reset the answer at the peer. */
  #halfClose(): void {
    if (this.#state !== 'open') return
    this.#state = 'half-closed'
    this.output.end('writing')
  }

  #lost(): void {
    this.#deaf = true
    for (const request of this.#requests.values()) {
      if (request !== undefined && this.#forget(request)) request.lose()
    }
  }

  /** False when the request is not one of this connection any more. */
  #forget(request: ResponderRequest): boolean {
    const { id } = request
    if (this.#requests.get(id) !== request) return false
    if (id <= keptIds) this.#requests.set(id, undefined)
    else this.#requests.delete(id)
    this.#active--
    this.#host.active--
    return true
  }

  #log(line: string): void {
    const { remoteAddress } = this.#socket
    this.#host.settings.log(
      `postern/fastcgi: ${remoteAddress === undefined ? '' : `${remoteAddress}: `}${line}`,
    )
  }
}
