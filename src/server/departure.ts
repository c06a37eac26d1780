/**
 * The client's leaving, as every request carries it: an AbortSignal's little sister.
 *
 * An AbortController costs two microseconds and a good deal of garbage for each request, and nearly no
 * client leaves. What grows: one entry per listener of one request, for as long as the request.
 */
import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../errors.js'
import type { LeaveSignal } from '../gateway.js'

export class Departure implements LeaveSignal {
  #listeners: (() => void)[] = []
  #aborted = false

  get aborted(): boolean {
    return this.#aborted
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.push(listener)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const at = this.#listeners.indexOf(listener)
    if (at !== -1) this.#listeners.splice(at, 1)
  }

  /** The client has gone: tells every listener, once. */
  abort(): void {
    if (this.#aborted) return
    this.#aborted = true
    const listeners = this.#listeners
    this.#listeners = []
    for (const listener of listeners) listener()
  }
}

/** Why the client is gone: it left, or what it sent was broken and it has been told so. */
export function leaving(req: IncomingMessage): GatewayError {
  return req.errored instanceof GatewayError ? req.errored : new GatewayError('CLIENT_LEFT')
}
