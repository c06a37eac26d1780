/**
 * One sending of a request on one connection: its head to the end of the answer, and what is known of it when
 * it goes wrong.
 *
 * A request that is repeated has another one. Small bodies leave with the head in one write; others are fed once
 * there is a connection, so that a request whose server cannot be reached is whole for the next. A server that
 * answers before it has read the body, and closes, is heard to the end (L-1).
 */

import type { BodyPipe } from '../backend/body-pipe.js'
import type { DispatchOwner, Sending } from '../backend/dispatch.js'
import { feedFile } from '../backend/feed-file.js'
import { isStreamed } from '../backend/repeat.js'
import type { TimeLimits } from '../backend/time-limits.js'
import type { ReadyBody } from '../cgi/request-body.js'
import type { FeedEvents } from '../cgi/script-input.js'
import { asGatewayError, type GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'
import { type Address, describeAddress } from '../upstream/address.js'
import type { Upstream } from '../upstream/upstreams.js'
import { bodyPipe } from './body-writer.js'
import type { ConnectionUser, ProxyConnection } from './connection.js'
import type { ForwardedHead } from './forwarding.js'
import type { UpstreamHead } from './response-head.js'
import { type ParserEvents, type ParserOptions, ResponseParser } from './response-parser.js'

/** What is sent. */
export interface SentRequest {
  readonly head: ForwardedHead
  readonly body: ReadyBody
  /** The body has no length. */
  readonly chunked: boolean
  /** The protocol that is asked for instead of HTTP. */
  readonly upgrade: ByteString | undefined
  readonly parser: ParserOptions
}

/** Who is told what comes back. */
export interface AttemptOwner extends DispatchOwner {
  readonly limits: TimeLimits
  /** The body is too long, or cannot be read. */
  refused(error: GatewayError): void
  /** Something has come. */
  heard(): void
  interim(head: UpstreamHead): void
  head(head: UpstreamHead): void
  /** A piece of the body, to keep. */
  data(piece: Buffer): void
  /** The answer is whole. */
  end(): void
  /** The connection is the other protocol's now; `rest` has come already. */
  switched(head: UpstreamHead, rest: Buffer): void
  /** What came is not an answer. */
  malformed(error: GatewayError): void
  /** The connection is gone before the end of the answer. */
  lost(error: GatewayError): void
}

/** Up to this size a body leaves with the head. */
const wholeBytes = 64 * 1024

export class Attempt implements Sending, ConnectionUser, ParserEvents {
  readonly upstream: Upstream
  readonly connection: ProxyConnection
  readonly onKept: boolean
  readonly isShared = false
  /** Nothing of the request or its answer is left in either direction. */
  isClean = false
  readonly #owner: AttemptOwner
  readonly #sent: SentRequest
  readonly #parser: ResponseParser
  #writer: BodyPipe | undefined
  /** Something of the body is on its way that cannot be had again. */
  #spent = false
  #sawOutput = false
  readonly isUnsent: boolean
  #paused = false
  #over = false

  /** Sends. */
  constructor(
    upstream: Upstream,
    connection: ProxyConnection,
    sent: SentRequest,
    owner: AttemptOwner,
  ) {
    this.upstream = upstream
    this.connection = connection
    this.onKept = connection.isKept
    this.#owner = owner
    this.#sent = sent
    this.#parser = new ResponseParser(sent.parser, this)
    connection.begin(this)
    const { line, host = hostOf(upstream.address), fields } = sent.head
    const head = `${line}Host: ${host}\r\n${fields}`
    const { stdin, buffer } = sent.body
    const whole = buffer !== undefined && buffer.length <= wholeBytes
    if (whole) connection.write(Buffer.concat([Buffer.from(head, 'latin1'), buffer]))
    else connection.writeText(head)
    this.isUnsent = connection.isDeaf
    if (whole || stdin === 'none') {
      owner.limits.bodyDone()
      return
    }
    this.#writer = bodyPipe(connection, sent.chunked)
    if (connection.isConnected) this.#feed(this.#writer)
  }

  get isConnected(): boolean {
    return this.connection.isConnected
  }

  get sawOutput(): boolean {
    return this.#sawOutput
  }

  get isRepeatable(): boolean {
    return !this.#spent
  }

  pause(): void {
    if (this.#paused || this.#over) return
    this.#paused = true
    this.connection.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.connection.resume()
  }

  /** Nobody wants to know more: what is left of the body is read and dropped (D-6). */
  drop(): void {
    if (this.#over) return
    this.#finish()
  }

  connected(): void {
    if (this.#writer !== undefined) this.#feed(this.#writer)
  }

  received(chunk: Buffer): void {
    if (this.#over) return
    this.#sawOutput = true
    this.#owner.heard()
    try {
      this.#parser.push(chunk)
    } catch (error) {
      this.#finish()
      this.#owner.malformed(asGatewayError(error))
    }
  }

  drained(): void {
    this.#writer?.takeDrained()
  }

  deaf(): void {
    this.#writer?.takeGone()
  }

  /** The end of the connection is that of an answer without a length (RFC 9112 §6.3). */
  ended(): void {
    if (this.#over || this.#parser.finish()) return
    this.connection.close(this.connection.closedError)
  }

  gone(error: GatewayError): void {
    if (this.#over) return
    this.#finish()
    this.#owner.lost(error)
  }

  interim(head: UpstreamHead): void {
    this.#owner.interim(head)
  }

  head(head: UpstreamHead): void {
    this.#owner.head(head)
  }

  data(piece: Buffer): void {
    this.#owner.data(piece)
  }

  end(isClean: boolean): void {
    if (this.#over) return
    this.isClean = isClean && this.#writer?.isEnded !== false
    this.#finish()
    this.#owner.end()
  }

  switched(head: UpstreamHead, rest: Buffer): void {
    this.#finish()
    this.#owner.switched(head, rest)
  }

  #feed(writer: BodyPipe): void {
    const { body } = this.#sent
    this.#spent = isStreamed(body)
    const events = this.#events()
    if (typeof body.stdin === 'number')
      feedFile(writer, body.stdin, body.contentLength ?? 0, events)
    else body.feed(writer, events)
  }

  #events(): FeedEvents {
    const owner = this.#owner
    return {
      waitsForClient: () => owner.limits.enter('body'),
      waitsForProgram: () => owner.limits.enter('idle'),
      done: () => owner.limits.bodyDone(),
      refused: error => owner.refused(error),
    }
  }

  #finish(): void {
    this.resume()
    this.#over = true
    this.#writer?.takeGone()
  }
}

/** What the server is told to be called; who listens on a unix socket has no name. */
function hostOf(address: Address): string {
  return address.kind === 'unix' ? 'localhost' : describeAddress(address)
}
