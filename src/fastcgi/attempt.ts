/**
 * One sending of a request on one connection: BEGIN_REQUEST to END_REQUEST, and what is known of it when it
 * goes wrong.
 *
 * A request that is repeated has another one. Small bodies leave with the head of the request in one write;
 * others are fed once there is a connection, so that a request whose application cannot be reached is whole
 * for the next.
 */

import type { BodyPipe } from '../backend/body-pipe.js'
import { feedFile } from '../backend/feed-file.js'
import { isStreamed } from '../backend/repeat.js'
import type { TimeLimits } from '../backend/time-limits.js'
import type { ReadyBody } from '../cgi/request-body.js'
import { type FeedEvents, feedStream } from '../cgi/script-input.js'
import type { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'
import type { Upstream } from '../upstream/upstreams.js'
import type { ConnectionRequest, FastCgiConnection } from './connection.js'
import type { FilterData } from './filter-data.js'
import { maxContentBytes, protocolStatus } from './record.js'
import { encodeRequest } from './request-encoder.js'
import { streamPipe } from './stdin.js'

/** What is sent. */
export interface SentRequest {
  readonly role: number
  readonly fixedPairs: Buffer
  readonly variables: ReadonlyMap<ByteString, ByteString>
  readonly body: ReadyBody
  /** What a filter works on: DATA after STDIN (G-23). */
  readonly data: FilterData | undefined
}

/** Who is told what comes back. */
export interface AttemptOwner {
  readonly limits: TimeLimits
  /** The body is too long, or cannot be read. */
  fail(error: GatewayError): void
  /** A piece of STDOUT, to keep. */
  stdout(content: Buffer): void
  stdoutEnd(): void
  stderr(content: Buffer): void
  /** END_REQUEST. */
  end(appStatus: number, protocolStatus: number): void
  /** The connection is gone before END_REQUEST. */
  lost(error: GatewayError): void
}

const nothing = Buffer.alloc(0)

export class Attempt implements ConnectionRequest {
  readonly upstream: Upstream
  readonly connection: FastCgiConnection
  /** The connection had carried a request before this one. */
  readonly onKept: boolean
  /** Others may use the connection at the same time. */
  readonly isShared: boolean
  /** G-10: whatever the application said before, it does not multiplex. */
  refusesSharing = false
  readonly #owner: AttemptOwner
  readonly #sent: SentRequest
  readonly #id: number
  #stdin: BodyPipe | undefined
  #data: BodyPipe | undefined
  /** Something of the body is on its way that cannot be had again. */
  #spent = false
  #sawOutput = false
  #stdoutEnded = false
  #unsent = false
  #pauses = false
  #over = false

  /** Sends. @throws GatewayError ENVIRONMENT_TOO_LARGE, before anything was written */
  constructor(
    upstream: Upstream,
    connection: FastCgiConnection,
    isShared: boolean,
    sent: SentRequest,
    owner: AttemptOwner,
  ) {
    this.upstream = upstream
    this.connection = connection
    this.isShared = isShared
    this.onKept = connection.isKept
    this.#owner = owner
    this.#sent = sent
    const whole = wholeBody(sent.body)
    this.#id = connection.begin(this)
    let bytes: Buffer
    try {
      bytes = encodeRequest({
        id: this.#id,
        role: sent.role,
        keepConnection: true,
        fixedPairs: sent.fixedPairs,
        variables: sent.variables,
        body: whole,
      })
    } catch (error) {
      connection.forget(this.#id)
      throw error
    }
    connection.write(bytes)
    this.#unsent = connection.isDeaf
    if (whole !== undefined) {
      this.#stdinDone()
      return
    }
    this.#stdin = streamPipe(connection, 'stdin', this.#id)
    if (connection.isConnected) this.#feed(this.#stdin)
  }

  get isConnected(): boolean {
    return this.connection.isConnected
  }

  /** Whether the application has said anything. */
  get sawOutput(): boolean {
    return this.#sawOutput
  }

  get stdoutEnded(): boolean {
    return this.#stdoutEnded
  }

  /** Whether the system refused the very first byte, so that no application can have read one. */
  get isUnsent(): boolean {
    return this.#unsent
  }

  /** Whether the body is still there to be sent again. */
  get isRepeatable(): boolean {
    return !this.#spent
  }

  /** Nothing of the request is left in either direction once END_REQUEST is here. */
  get isClean(): boolean {
    const { data } = this.#sent
    return this.#stdin?.isEnded !== false && (data === undefined || this.#data?.isEnded === true)
  }

  pause(): void {
    if (this.#pauses || this.#over) return
    this.#pauses = true
    this.connection.pause()
  }

  resume(): void {
    if (!this.#pauses) return
    this.#pauses = false
    this.connection.resume()
  }

  /** A piece of STDOUT is not needed any more. */
  recycle(chunk: Buffer): void {
    this.connection.recycle(chunk)
  }

  /** Sends no more of the body: what is left of it is read and dropped (D-6). */
  stopFeeding(): void {
    this.#stdin?.takeGone()
    this.#data?.takeGone()
  }

  /** Sends ABORT_REQUEST; false when there is nobody to send it to. */
  abort(): boolean {
    if (!this.connection.isConnected || this.connection.isDeaf) return false
    this.connection.abort(this.#id)
    return true
  }

  /** Waits for END_REQUEST no longer. */
  giveUp(): void {
    this.connection.giveUp(this.#id)
  }

  connected(): void {
    if (this.#stdin === undefined) this.#stdinDone()
    else this.#feed(this.#stdin)
  }

  stdout(content: Buffer): void {
    this.#sawOutput = true
    this.#owner.stdout(content)
  }

  stdoutEnd(): void {
    this.#sawOutput = true
    this.#stdoutEnded = true
    this.#owner.stdoutEnd()
  }

  stderr(content: Buffer): void {
    this.#sawOutput = true
    this.#owner.stderr(content)
  }

  end(appStatus: number, status: number): void {
    this.#sawOutput = true
    this.refusesSharing = this.isShared && status === protocolStatus.cannotMultiplex
    this.#finish()
    this.#owner.end(appStatus, status)
  }

  gone(error: GatewayError): void {
    this.#finish()
    this.#owner.lost(error)
  }

  drained(): void {
    this.#stdin?.takeDrained()
    this.#data?.takeDrained()
  }

  deaf(): void {
    this.stopFeeding()
  }

  #feed(stdin: BodyPipe): void {
    const { body } = this.#sent
    this.#spent = isStreamed(body)
    const events = this.#events(() => this.#stdinDone())
    if (typeof body.stdin === 'number') feedFile(stdin, body.stdin, body.contentLength ?? 0, events)
    else body.feed(stdin, events)
  }

  /** STDIN is written, or not wanted any more: DATA follows, where there is any (§6.4). */
  #stdinDone(): void {
    const { data } = this.#sent
    const { connection } = this
    const { limits } = this.#owner
    if (data === undefined || this.#over || connection.isDeaf) {
      limits.bodyDone()
      return
    }
    if (!connection.isConnected || this.#data !== undefined) return
    this.#spent = true
    this.#data = streamPipe(connection, 'data', this.#id)
    feedStream(
      this.#data,
      data.stream,
      data.length,
      this.#events(() => limits.bodyDone()),
    )
  }

  #events(done: () => void): FeedEvents {
    const owner = this.#owner
    return {
      waitsForClient: () => owner.limits.enter('body'),
      waitsForProgram: () => owner.limits.enter('idle'),
      done,
      refused: error => owner.fail(error),
    }
  }

  #finish(): void {
    this.resume()
    this.#over = true
    this.stopFeeding()
  }
}

/** The body when it fits in the first write; empty when there is none. */
function wholeBody({ stdin, buffer }: ReadyBody): Buffer | undefined {
  if (stdin === 'none') return nothing
  return buffer !== undefined && buffer.length <= maxContentBytes ? buffer : undefined
}
