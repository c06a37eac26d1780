/**
 * The request line's target, made into what the rest of the server works with: the raw origin form, the
 * decoded path, the raw query and the host.
 *
 * Node neither decodes nor normalises `req.url` and hands on the absolute form as it came, so all of
 * that happens here, once. Pure. Bounded by the limit on the request line; a URL without `%` and `/.` is
 * looked at once and cut once. Routing is `router.ts`; whether an encoded slash may pass is the route's
 * to say, hence `settleEncodedSlashes`.
 */
import { isIPv6 } from 'node:net'
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'

/** Stands for `%2F` in a decoded path until the route has said what becomes of it; no byte looks like it. */
export const encodedSlash = '\u012F'

/** What the request line and the Host field say. */
export interface Target {
  /** Origin form, raw, with query: REQUEST_URI. */
  readonly target: ByteString
  /** Decoded, dot segments resolved, slashes as they came; `encodedSlash` where `%2F` was. */
  readonly path: ByteString
  /** Raw text after the first `?`, or empty. */
  readonly query: ByteString
  /** Without port, lower case, brackets kept; undefined without Host (HTTP/1.0) or with an empty one. */
  readonly host: string | undefined
  /** Host and port as written in an absolute-form target: replaces the Host field (RFC 9112 §3.2.2). */
  readonly authority: string | undefined
}

/**
 * Reads a request target. `OPTIONS *` and CONNECT are not for this function.
 * @throws GatewayError BAD_TARGET, PATH_NUL, PATH_ESCAPES_ROOT; BAD_HEADER for a Host that
 * is invalid, repeated, or missing on HTTP/1.1 (RFC 9112 §3.2)
 */
export function parseTarget(
  url: ByteString,
  method: string,
  hostHeaders: readonly string[],
  protocol: string,
): Target {
  const named = hostOfHeaders(hostHeaders, protocol)
  if (url.charCodeAt(0) === slash) return fromOriginForm(url, named, undefined)

  const absolute = absoluteForm.exec(url)
  if (absolute === null) {
    const form = url === '*' ? '"*" is not a target for this method' : 'it does not begin with "/"'
    throw new GatewayError('BAD_TARGET', `${method}: ${form}.`)
  }
  const authority = absolute[1] ?? ''
  const host = readHost(authority)
  if (host === undefined) throw new GatewayError('BAD_TARGET', 'The host in it is not valid.')
  const below = url.slice(absolute[0].length)
  return fromOriginForm(below.startsWith('/') ? below : `/${below}`, host, authority)
}

/**
 * Decides what becomes of encoded slashes, in a whole path or in the rest below a route: what
 * `decode` uncovers cannot climb above what it is given.
 * @throws GatewayError ENCODED_SLASH for `reject`; PATH_ESCAPES_ROOT when decoding makes the path climb
 */
export function settleEncodedSlashes(
  path: ByteString,
  mode: 'reject' | 'decode' | 'keep',
): ByteString {
  if (!path.includes(encodedSlash)) return path
  if (mode === 'reject') throw new GatewayError('ENCODED_SLASH')
  if (mode === 'keep') return path.replaceAll(encodedSlash, '%2F')
  return resolveDots(path.replaceAll(encodedSlash, '/'))
}

const slash = 0x2f
const dot = 0x2e
const percent = 0x25
const questionMark = 0x3f

const absoluteForm = /^https?:\/\/([^/?#]*)/i

function fromOriginForm(
  target: ByteString,
  host: string | undefined,
  authority: string | undefined,
): Target {
  let encoded = false
  let dotted = false
  let end = 0
  let previous = 0
  for (; end < target.length; end++) {
    const char = target.charCodeAt(end)
    if (char === questionMark) break
    if (char === percent) encoded = true
    if (char === dot && previous === slash) dotted = true
    previous = char
  }
  const raw = end === target.length ? target : target.slice(0, end)
  // A "." may hide as %2e, so whatever was encoded is searched for dot segments too.
  const path = encoded ? resolveDots(decode(raw)) : dotted ? resolveDots(raw) : raw
  return { target, path, query: target.slice(end + 1), host, authority }
}

/** Percent-decoding, once: `%252e` is `%2e`, not a dot. */
function decode(raw: ByteString): ByteString {
  let path = ''
  let from = 0
  for (let at = raw.indexOf('%'); at !== -1; at = raw.indexOf('%', from)) {
    const byte = hexDigit(raw.charCodeAt(at + 1)) * 16 + hexDigit(raw.charCodeAt(at + 2))
    if (Number.isNaN(byte)) {
      throw new GatewayError('BAD_TARGET', 'A "%" in it is not followed by two hex digits.')
    }
    if (byte === 0) throw new GatewayError('PATH_NUL')
    path += raw.slice(from, at) + (byte === slash ? encodedSlash : String.fromCharCode(byte))
    from = at + 3
  }
  return path + raw.slice(from)
}

function hexDigit(char: number): number {
  if (char >= 0x30 && char <= 0x39) return char - 0x30
  const letter = char | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : Number.NaN
}

/**
 * Resolves `.` and `..`. A run of slashes counts as one here, as it does when files are looked up:
 * otherwise `//..` would climb further on disk than it seems to.
 */
function resolveDots(path: ByteString): ByteString {
  if (!path.includes('/.')) return path
  /** Each with the slashes before it. */
  const segments: string[] = []
  let at = 0
  let endsInDots = false
  while (at < path.length) {
    let start = at
    while (path.charCodeAt(start) === slash) start++
    const next = path.indexOf('/', start)
    const end = next === -1 ? path.length : next
    const name = path.slice(start, end)
    endsInDots = name === '.' || name === '..'
    if (!endsInDots) segments.push(path.slice(at, end))
    if (name === '..' && segments.pop() === undefined) throw new GatewayError('PATH_ESCAPES_ROOT')
    at = end
  }
  // `/a/..` names a directory, and so must what it resolves to.
  return segments.join('') + (endsInDots ? '/' : '')
}

function hostOfHeaders(hostHeaders: readonly string[], protocol: string): string | undefined {
  if (hostHeaders.length > 1) throw new GatewayError('BAD_HEADER', 'Host is repeated.')
  const value = hostHeaders[0]
  if (value === undefined) {
    if (protocol === 'HTTP/1.1') throw new GatewayError('BAD_HEADER', 'Host is missing.')
    return undefined
  }
  if (value === '') return undefined
  const host = readHost(value)
  if (host === undefined) throw new GatewayError('BAD_HEADER', 'Host is not a valid host name.')
  return host
}

// Narrower than RFC 3986's reg-name: SERVER_NAME ends up in links, mail headers and file names of
// programs that trust it. The underscore is not a host name's by the book but in use.
const nameAndPort = /^([a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?)(?::(\d{0,5}))?$/i
const addressAndPort = /^(\[[0-9a-f:.]+\])(?::(\d{0,5}))?$/i
/** Longest host name of the DNS, with brackets or dot, and the port. */
const maxAuthorityLength = 262

/** The host of `host[:port]` in lower case, or undefined when either is not valid. */
function readHost(authority: string): string | undefined {
  if (authority.length > maxAuthorityLength) return undefined
  const parts = (authority.startsWith('[') ? addressAndPort : nameAndPort).exec(authority)
  const host = parts?.[1]
  if (host === undefined || Number(parts?.[2] ?? 0) > 65_535) return undefined
  if (host.startsWith('[') && !isIPv6(host.slice(1, -1))) return undefined
  return host.toLowerCase()
}
