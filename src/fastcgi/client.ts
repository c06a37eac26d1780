/**
 * A FastCGI client for programs: one request, one connection, everything as it is said on the wire.
 *
 * For tools and tests, and the door `postern/fastcgi`; the server's own way is `gateway.ts`, which keeps its
 * connections. How a request goes is `client-exchange.ts`; this file is what a caller sees.
 */
import type { Readable } from 'node:stream'
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'
import type { Address } from '../upstream/address.js'
import { ClientExchange } from './client-exchange.js'
import type { Role } from './record.js'

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
  /** Need not be read: then the first 64 KiB are kept, and the rest dropped. */
  readonly stderr: Readable
  /**
   * Rejects with a GatewayError (UPSTREAM_UNREACHABLE, UPSTREAM_CLOSED, PROTOCOL_ERROR, TOTAL_TIMEOUT), with what
   * the body failed with, or with the signal's reason. Both streams fail with the same.
   */
  readonly ended: Promise<ClientEnd>
}

export class FastCGIClient {
  readonly #running = new Set<ClientExchange>()

  /**
   * Sends a request on a connection of its own.
   * @throws GatewayError ENVIRONMENT_TOO_LARGE for more than 2 MiB of params
   */
  request(request: ClientRequest): ClientAnswer {
    const exchange = new ClientExchange(request)
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
