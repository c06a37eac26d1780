/**
 * What stands between one HTTP-shaped request and the protocol that brought it.
 *
 * Types only. A FastCGI request is a channel as it is; a CGI process makes one of its environment, stdin
 * and stdout.
 */
import type { Inlet } from '../fastcgi/responder-inlet.js'
import type { RequestOwner } from '../fastcgi/responder-request.js'
import type { ByteString } from '../gateway.js'

export interface Channel {
  /** Meta-variables (RFC 3875 §4.1): name, value, name, value… */
  readonly pairs: readonly ByteString[]
  /** The same by name. */
  readonly params: ReadonlyMap<ByteString, ByteString>
  /** The body. */
  readonly stdin: Inlet
  /** Is told when what was sent has been taken, and when the request is given up. */
  owner: RequestOwner | undefined
  /** Sets the length of the body, once its reader is attached. */
  expectBody(): void
  /** Sends a part of the answer; a buffer must not change until `taken`. */
  send(data: Buffer | string, encoding: BufferEncoding): void
  /** For the log of the web server. */
  sendError(data: Buffer): void
  /** The answer is complete. */
  finish(appStatus: number): void
  /** The answer cannot be completed, and must not look whole. */
  breakOff(): void
}
