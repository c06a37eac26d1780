/**
 * The request target without the prefix of its route (`stripPrefix`).
 *
 * Pure. As it came where that is safe (L-9); written anew from the decoded path where the prefix is not there
 * literally or dots could climb above what is left.
 */
import type { ByteString, GatewayRequest } from '../gateway.js'

/** @param path of the route, begins and ends with `/` */
export function forwardedTarget(
  { target, rest, query }: Pick<GatewayRequest, 'target' | 'rest' | 'query'>,
  path: ByteString,
): ByteString {
  const prefix = path.slice(0, -1)
  const mark = target.indexOf('?')
  const raw = mark === -1 ? target : target.slice(0, mark)
  const isLiteral = raw === prefix || raw.startsWith(path)
  if (isLiteral && !dots.test(raw)) {
    const left = target.slice(prefix.length)
    return left.startsWith('/') ? left : `/${left}`
  }
  const encoded = rest === '' ? '/' : rest.replaceAll(unsafe, percentEncoded)
  return mark === -1 ? encoded : `${encoded}?${query}`
}

/** A segment that may be `.` or `..`, written out or not. */
const dots = /\/(?:\.|%2e)/i
/** All but what a path may hold as it is (RFC 3986 §3.3). */
const unsafe = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/]/g

/** One byte as `%XX`. */
export function percentEncoded(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}
