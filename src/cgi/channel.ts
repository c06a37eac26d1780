/**
 * What stands, at the application, between one request and the protocol that brought it.
 *
 * Types only. A FastCGI request and an SCGI connection are channels as they are; a CGI process makes one of
 * its environment, stdin and stdout.
 */
import type { ByteString } from '../gateway.js'
import type { Inlet } from './inlet.js'

/** Who answers the request. */
export interface RequestOwner {
  /** What was given is about to be sent: the moment to say that it was the last. */
  beforeSending(): void
  /** What was given has been taken: more may be given. */
  taken(): void
  /** The web server has given the request up, or is gone; called once, before the end only. */
  abandoned(error: Error): void
}

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
