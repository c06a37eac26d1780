/**
 * The contract between the web server and everything that can answer a request.
 *
 * Types only. A gateway turns a `GatewayRequest` into a `GatewayResponse`; it never sees node:http's
 * response, and the server never sees which protocol answered. What may grow here: a fact that every
 * protocol needs. What may not: an option of one protocol.
 *
 * Byte strings: header text, paths and variables are strings with one character per byte (latin-1), so
 * that no byte of a client or a program is lost. `byte-string.ts` converts.
 */
import type { Duplex, Readable } from 'node:stream'
import type { GatewayError } from './errors.js'

/** A string that holds one byte (0 to 255) per character. */
export type ByteString = string

/** Where the request came from or arrived at; `address` is `unix:` and `port` undefined for unix sockets. */
export interface Endpoint {
  readonly address: string
  readonly port: number | undefined
}

/**
 * Tells that the client has gone. An AbortSignal is one; the server's own is far cheaper, and every request
 * has one. A listener is called once.
 */
export interface LeaveSignal {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** The body of a request: `length` in bytes, or undefined when chunked and not yet counted. */
export interface RequestBody {
  readonly length: number | undefined
  /** Undefined when the request has no body at all (no Content-Length, no chunked coding). */
  readonly stream: Readable | undefined
  /** Sends `100 Continue` if the client waits for it; called before the first read of the stream. */
  readonly invite: () => void
}

/** One request, read-only once the exchange has made it. */
export interface GatewayRequest {
  /** The request id, the same in every log line. */
  readonly id: string
  /** Method in its exact case. */
  readonly method: string
  /** Origin-form target as it came, with query: REQUEST_URI. */
  readonly target: ByteString
  /** `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`. */
  readonly protocol: string
  /** Decoded path with dot segments resolved; slashes are kept as they came. */
  readonly path: ByteString
  /** What is left of `path` behind the route's prefix: empty, or begins with `/`. */
  readonly rest: ByteString
  /** Raw text after the first `?`, or empty. */
  readonly query: ByteString
  /** name, value, name, value… as they came; names in the client's case. */
  readonly rawHeaders: readonly ByteString[]
  /** Validated host without port, lower case, brackets kept; undefined on HTTP/1.0 without Host. */
  readonly host: string | undefined
  readonly remote: Endpoint
  readonly local: Endpoint
  readonly tls: boolean
  readonly body: RequestBody
  /** The protocol that the client asks to go on with (RFC 9110 §7.8); undefined: none, or none that could be had. */
  readonly upgrade?: ByteString | undefined
  /** Aborted when the client has gone. */
  readonly signal: LeaveSignal
  /** Local redirects (RFC 3875 §6.2.2) followed so far. */
  readonly redirects: number
  /** Variables that an authorizer has given the request (FastCGI §6.3); they win over those of the request. */
  readonly authorized: ReadonlyMap<ByteString, ByteString> | undefined
  /** Sends an informational response (103) to clients that understand one. */
  readonly inform: (status: number, headers: readonly ByteString[]) => void
  /** What the gateway learns on the way, for the access line; the gateway writes, the log reads. */
  readonly facts: ProgramFacts
}

/** What is known about the program that answered; times in milliseconds. */
export interface ProgramFacts {
  script?: string
  pid?: number
  /** Time spent waiting for a place. */
  queueMs?: number
  /** Time it took to start the process. */
  spawnMs?: number
  /** From the start of the process to its first byte. */
  firstByteMs?: number
  exit?: ProgramExit
  /** The last of what the program wrote on stderr, escaped; for the developer's page. */
  stderr?: () => string
  /** Settles when the program is gone and the facts are complete; undefined when none was started. */
  ended?: Promise<void>
}

/** How a program ended and what it used. */
export interface ProgramExit {
  /** Exit status, or undefined when a signal ended it. */
  readonly code: number | undefined
  /** `SIGTERM`, `SIGSEGV`… or undefined. */
  readonly signal: string | undefined
  /** Undefined where the system does not tell. */
  readonly usage: ProgramUsage | undefined
}

/** Resource usage of a program and the children it has waited for. */
export interface ProgramUsage {
  /** CPU time in user mode, microseconds. */
  readonly userUs: number
  /** CPU time in the kernel, microseconds. */
  readonly systemUs: number
  /** Peak resident memory seen, KiB; undefined for programs too short to be seen. */
  readonly maxRssKiB: number | undefined
}

/**
 * Receives a response body. `data` may be called again only after it has returned; a sink that is full
 * calls `pause` on the body.
 */
export interface BodySink {
  data(chunk: Buffer): void
  /** The body is complete. */
  end(): void
  /** The body broke off: what was sent must not look whole. */
  fail(error: GatewayError): void
}

/** Bytes on their way from a program. Push style: a stream event or promise per chunk costs more than the chunk. */
export interface ResponseBody {
  /** Starts the flow; called at most once. */
  flow(sink: BodySink): void
  pause(): void
  resume(): void
  /** A chunk given to the sink is not needed any more: its memory may be used again. Need not be called. */
  recycle?(chunk: Buffer): void
  /** Nobody reads any more: the producer is stopped. */
  cancel(): void
}

/** A connection that speaks another protocol from here on. */
export interface Tunnel {
  /** Joins the client to it; `sent` counts the bytes that go to the client. Called at most once. */
  join(client: Duplex, sent: (bytes: number) => void): void
  /** Ends it: nobody is there to be joined. */
  close(): void
}

/** A response head whose body goes on streaming. */
export interface GatewayResponse {
  readonly status: number
  /** Reason phrase of the program, or undefined for the standard one. */
  readonly reason: string | undefined
  /** name, value… in the program's order; hop-by-hop fields are gone, Content-Length is in `length`. */
  readonly headers: readonly ByteString[]
  /** Content-Length that the program declared. */
  readonly length: number | undefined
  readonly body: ResponseBody
  /** The program asked for the connection to be closed, or framed its own message (NPH). */
  readonly close: boolean
  /** RFC 3875 §6.2.2: answer with what this path gives instead. */
  readonly localRedirect: ByteString | undefined
  /** Absolute path of a file to send instead of the body (X-Sendfile). */
  readonly sendFile: string | undefined
  /** With status 101: what the connection has become; there is no body then. */
  readonly tunnel?: Tunnel | undefined
}

/** What answers requests below one route. */
export interface Gateway {
  /**
   * Settles when the response head is known; the body goes on streaming.
   * @throws GatewayError when there is no head to give: its code says which status.
   */
  send(request: GatewayRequest): Promise<GatewayResponse>
  /** Ends what still runs: TERM, then KILL after the grace. Settles when everything is gone. */
  close(): Promise<void>
  /** Ends what still runs at once (KILL), without waiting. */
  kill(): void
}
