/**
 * Whether a request may be sent a second time (G-19): what HTTP says of its method, and whether its body is
 * still there. Pure.
 *
 * The rule of nginx (`non_idempotent`), read from the safe side: a method that is not known to be idempotent is
 * sent again only when the system refused the very first byte, so that no application can have read it.
 */

/** RFC 9110 §9.2.2 and the registry's idempotent methods. */
const idempotent: ReadonlySet<string> = new Set([
  ...['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'],
  ...['PROPFIND', 'PROPPATCH', 'REPORT', 'SEARCH', 'MKCOL', 'MKCALENDAR', 'COPY', 'MOVE'],
  ...['ACL', 'UNLOCK', 'QUERY'],
])

/** Whether a request of this method does the same when it is done twice. */
export function isIdempotent(method: string): boolean {
  return idempotent.has(method)
}
