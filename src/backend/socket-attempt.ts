/**
 * One sending of a request on a connection of its own: the head and a small body in one write, a larger body
 * behind them, and what comes back until the program closes.
 *
 * A request that is repeated has another one. Knows no protocol: the head was encoded before. Bytes are not
 * collected here; the end of a body is not marked, since its length stands in the head.
 */

import type { ReadyBody } from '../cgi/request-body.js'
import { GatewayError } from '../errors.js'
import type { PipeWriter } from '../process/spawner.js'
import { describeAddress } from '../upstream/address.js'
import type { Upstream } from '../upstream/upstreams.js'
import type { Sending } from './dispatch.js'
import { feedFile } from './feed-file.js'
import { isStreamed } from './repeat.js'
import type { TimeLimits } from './time-limits.js'
import { WorkerSocket, type WorkerSocketEvents } from './worker-socket.js'

/** What is sent. */
export interface SentOverSocket {
  /** The variables, as the protocol encodes them. */
  readonly head: Buffer
  readonly body: ReadyBody
}

/** Who is told what comes back. */
export interface SocketAttemptOwner {
  readonly limits: TimeLimits
  /** The body is too long, or cannot be read. */
  refused(error: GatewayError): void
  /** A piece of the answer, to keep. */
  output(chunk: Buffer): void
  /** The program has closed: nothing more comes. */
  finished(): void
  /** There was no connection, or it broke. `isReset`: closed by a program that had not read all of the request. */
  broke(error: GatewayError, isReset: boolean): void
}

/** Bodies up to this size are copied behind the head, for one write; of larger ones the copy costs more. */
const copiedBytes = 64 * 1024

export class SocketAttempt implements Sending, PipeWriter, WorkerSocketEvents {
  readonly upstream: Upstream
  readonly onKept = false
  readonly isShared = false
  readonly isUnsent = false
  readonly #owner: SocketAttemptOwner
  readonly #body: ReadyBody
  readonly #socket: WorkerSocket
  #isConnected = false
  #sawOutput = false
  /** Something of the body is on its way that cannot be had again. */
  #spent = false
  /** All of the body was written, or is not wanted any more. */
  #bodyOver: boolean
  #waitsForDrain = false
  #drained: () => void = () => {}
  #gone: () => void = () => {}
  #over = false

  constructor(upstream: Upstream, { head, body }: SentOverSocket, owner: SocketAttemptOwner) {
    this.upstream = upstream
    this.#owner = owner
    this.#body = body
    const socket = new WorkerSocket(this)
    this.#socket = socket
    socket.on('connect', this.#connected)
    socket.on('end', this.#finished)
    socket.on('error', this.#failed)
    socket.on('close', this.#finished)
    socket.connectTo(upstream.address)
    const { buffer } = body
    const isWhole = body.stdin === 'none' || (buffer?.length ?? Number.MAX_VALUE) <= copiedBytes
    this.#bodyOver = isWhole
    socket.write(isWhole && buffer !== undefined ? Buffer.concat([head, buffer]) : head)
  }

  get isConnected(): boolean {
    return this.#isConnected
  }

  get sawOutput(): boolean {
    return this.#sawOutput
  }

  get isRepeatable(): boolean {
    return !this.#spent
  }

  /** Reads no more until `resume`. */
  pause(): void {
    if (!this.#over) this.#socket.pause()
  }

  resume(): void {
    if (!this.#over) this.#socket.resume()
  }

  /** A piece of the answer is not needed any more. */
  recycle(chunk: Buffer): void {
    this.#socket.recycle(chunk)
  }

  /** Closes at once, whatever is under way; the owner is told nothing more. */
  destroy(): void {
    if (this.#over) return
    this.#over = true
    this.#socket.destroy()
    this.deaf()
  }

  received(chunk: Buffer): void {
    if (this.#over) return
    this.#sawOutput = true
    this.#owner.output(chunk)
  }

  /** The program reads no more: what is left of the body is read and dropped (D-6). */
  deaf(): void {
    if (this.#bodyOver && !this.#waitsForDrain) return
    this.close()
    this.#gone()
  }

  onDrain(drained: () => void): void {
    this.#drained = drained
    this.#socket.on('drain', () => {
      if (!this.#waitsForDrain) return
      this.#waitsForDrain = false
      this.#drained()
    })
  }

  onGone(gone: () => void): void {
    this.#gone = gone
  }

  write(chunk: Buffer): boolean {
    if (this.#bodyOver) return true
    this.#socket.write(chunk)
    const isTaken = this.#socket.writableLength === 0 || !this.#socket.writableNeedDrain
    if (!isTaken) this.#waitsForDrain = true
    return isTaken
  }

  end(): void {
    this.#bodyOver = true
  }

  close(): void {
    this.#bodyOver = true
    this.#waitsForDrain = false
  }

  readonly #connected = (): void => {
    this.#isConnected = true
    const { limits } = this.#owner
    if (this.#bodyOver) limits.bodyDone()
    else this.#feed()
  }

  #feed(): void {
    const owner = this.#owner
    const body = this.#body
    this.#spent = isStreamed(body)
    const events = {
      waitsForClient: () => owner.limits.enter('body'),
      waitsForProgram: () => owner.limits.enter('idle'),
      done: () => owner.limits.bodyDone(),
      refused: (error: GatewayError) => owner.refused(error),
    }
    if (typeof body.stdin === 'number') feedFile(this, body.stdin, body.contentLength ?? 0, events)
    else body.feed(this, events)
  }

  readonly #finished = (): void => {
    if (this.#over) return
    this.destroy()
    this.#owner.finished()
  }

  readonly #failed = (error: Error): void => {
    if (this.#over) return
    this.destroy()
    const code = 'code' in error ? String(error.code) : error.message
    if (this.#isConnected) {
      this.#owner.broke(new GatewayError('UPSTREAM_CLOSED', code), code === 'ECONNRESET')
      return
    }
    const said = `${describeAddress(this.upstream.address)}: ${code}`
    this.#owner.broke(new GatewayError('UPSTREAM_UNREACHABLE', said), false)
  }
}
