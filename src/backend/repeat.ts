/**
 * Whether a request may be sent a second time (G-19): what HTTP says of its method, and whether its body is
 * still there. Pure.
 *
 * The rule of nginx (`non_idempotent`), read from the safe side: a method that is not known to be idempotent is
 * sent again only when the system refused the very first byte, so that no application can have read it.
 */

import type { ReadyBody } from '../cgi/request-body.js'
import type { GatewayError } from '../errors.js'

/** RFC 9110 §9.2.2 and the registry's idempotent methods. */
const idempotent: ReadonlySet<string> = new Set([
  ...['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'],
  ...['PROPFIND', 'PROPPATCH', 'REPORT', 'SEARCH', 'MKCOL', 'MKCALENDAR', 'COPY', 'MOVE'],
  ...['ACL', 'UNLOCK', 'QUERY'],
])

/** What there is to know of an attempt whose connection is gone. */
export interface LostAttempt {
  /** There was a connection. */
  readonly isConnected: boolean
  /** The application has said something. */
  readonly sawOutput: boolean
  /** The body is still there. */
  readonly isRepeatable: boolean
  /** Nothing of the request has left. */
  readonly isUnsent: boolean
  /** Others used the connection: what broke it need not have been this request. */
  readonly isShared: boolean
}

/** Whether a request could be sent again whatever became of the first sending. */
export function isSafeToRepeat(method: string, body: ReadyBody): boolean {
  return idempotent.has(method) && !isStreamed(body)
}

/** Whether a body comes from the client as it is sent, and only once. */
export function isStreamed({ stdin, buffer }: ReadyBody): boolean {
  return stdin === 'pipe' && buffer === undefined
}

/** Whether a request may be sent again whose connection is gone before the end of its answer. */
export function mayRepeat(attempt: LostAttempt, error: GatewayError, method: string): boolean {
  if (!attempt.isConnected) return true
  const isBroken =
    error.code === 'UPSTREAM_CLOSED' || (attempt.isShared && error.code === 'PROTOCOL_ERROR')
  if (!isBroken || attempt.sawOutput || !attempt.isRepeatable) return false
  return attempt.isUnsent || idempotent.has(method)
}
