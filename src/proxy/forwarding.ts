/**
 * A request as it goes on to an HTTP server: which fields pass, which are ours to say (conventions B, H-13).
 *
 * Pure. Fields pass in their order and with their bytes; those of this hop end here (RFC 9110 §7.6.1), names
 * that frameworks would take for another's are dropped, and where the client says it comes from counts only
 * if a trusted proxy says so. Bounded by the limits on the request's head.
 */
import { headerVariable } from '../cgi/header-variables.js'
import { plainAddress } from '../cgi/meta-variables.js'
import { GatewayError } from '../errors.js'
import type { ByteString, GatewayRequest } from '../gateway.js'
import type { ProxyRouteConfig } from './options.js'
import { forwardedTarget, percentEncoded } from './target.js'
import { TrustedPeers } from './trusted-peers.js'

/** How the body of a request is framed towards the server; undefined: it has none. */
export type BodyFraming =
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  | undefined

/** A request's head, to be put together once it is known which server gets it. */
export interface ForwardedHead {
  /** Request line with its end. */
  readonly line: ByteString
  /** Value of Host; undefined: the address of the server. */
  readonly host: ByteString | undefined
  /** All other fields and the empty line. */
  readonly fields: ByteString
}

/** What of a route decides about heads. */
export type ForwardingRoute = Pick<
  ProxyRouteConfig,
  | 'path'
  | 'host'
  | 'trusted'
  | 'forwarded'
  | 'stripPrefix'
  | 'passAuthorization'
  | 'ambiguousHeaders'
>

/** Fields that end here or that we say ourselves, by the variable that a framework makes of them. */
const ours: ReadonlySet<string> = new Set([
  'HTTP_HOST',
  'HTTP_EXPECT',
  'HTTP_COOKIE',
  'HTTP_X_REQUEST_ID',
  'HTTP_FORWARDED',
  'HTTP_X_REAL_IP',
])

const endsLine = /[\0\r\n]/
const endsTarget = /[\0-\x20\x7f]/g

/** What the client says of itself, and what a trusted proxy says of the client. */
interface Seen {
  host: ByteString | undefined
  cookie: ByteString | undefined
  for: ByteString | undefined
  proto: ByteString | undefined
  forwardedHost: ByteString | undefined
  forwarded: ByteString | undefined
  hasAuthorization: boolean
  someAmbiguous: boolean
}

export class Forwarding {
  readonly #route: ForwardingRoute
  readonly #trusted: TrustedPeers
  readonly #onDropped: (name: ByteString, reason: string) => void

  /** `onDropped` is called for each field that is dropped because of its name. */
  constructor(
    route: ForwardingRoute,
    onDropped: (name: ByteString, reason: string) => void = () => {},
  ) {
    this.#route = route
    this.#trusted = new TrustedPeers(route.trusted)
    this.#onDropped = onDropped
  }

  /**
   * The head of a request. @param upgrade the protocol that is asked for, when it may be
   * @throws GatewayError BAD_HEADER for a repeated Authorization (B-13), a line end or NUL in a value (B-2), and
   * for ambiguous names when they are to be rejected
   */
  head(request: GatewayRequest, body: BodyFraming, upgrade: ByteString | undefined): ForwardedHead {
    const { host, path, stripPrefix } = this.#route
    const address = plainAddress(request.remote.address)
    const seen: Seen = {
      host: undefined,
      cookie: undefined,
      for: undefined,
      proto: undefined,
      forwardedHost: undefined,
      forwarded: undefined,
      hasAuthorization: false,
      someAmbiguous: false,
    }
    const trusted = this.#trusted.has(address)
    let fields = this.#passed(request.rawHeaders, seen, trusted)
    if (seen.someAmbiguous) fields += this.#ambiguous(request.rawHeaders)
    if (seen.cookie !== undefined) fields += `Cookie: ${seen.cookie}\r\n`
    fields += this.#forwarded(request, seen, address)
    fields += `X-Request-Id: ${request.id}\r\n`
    if (body?.kind === 'length') fields += `Content-Length: ${body.length}\r\n`
    else if (body?.kind === 'chunked') fields += 'Transfer-Encoding: chunked\r\n'
    if (upgrade !== undefined) fields += `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`
    const asked = stripPrefix ? forwardedTarget(request, path) : request.target
    // A program's local redirect may hold what no client can send.
    const target = asked.replaceAll(endsTarget, percentEncoded)
    return {
      line: `${request.method} ${target} HTTP/1.1\r\n`,
      host: host === 'upstream' ? undefined : seen.host,
      fields: `${fields}\r\n`,
    }
  }

  #passed(rawHeaders: readonly ByteString[], seen: Seen, trusted: boolean): ByteString {
    const named = namedInConnection(rawHeaders)
    let fields = ''
    for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
      const name = rawHeaders[i] ?? ''
      const value = rawHeaders[i + 1] ?? ''
      const { variable, ambiguous } = headerVariable(name)
      if (endsLine.test(value)) throw badHeader(name, 'holds a line end or a NUL byte')
      if (ambiguous) {
        seen.someAmbiguous = true
        continue
      }
      if (variable === undefined) continue
      // What is ours to say Connection cannot take away.
      if (isOurs(variable) && note(seen, variable, value, trusted)) continue
      if (named?.has(name.toLowerCase()) === true) continue
      if (variable === 'HTTP_AUTHORIZATION') {
        if (seen.hasAuthorization) throw badHeader(name, 'is repeated')
        seen.hasAuthorization = true
        if (!this.#route.passAuthorization) continue
      }
      fields += `${name}: ${value}\r\n`
    }
    return fields
  }

  /** B-15 to B-17, H-14: after all others, so that none takes the place of a plain name or of one of ours. */
  #ambiguous(rawHeaders: readonly ByteString[]): ByteString {
    const { ambiguousHeaders } = this.#route
    const plain = new Set<string>()
    const named = namedInConnection(rawHeaders)
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const { variable, ambiguous } = headerVariable(rawHeaders[i] ?? '')
      if (!ambiguous && variable !== undefined) plain.add(variable)
    }
    let fields = ''
    for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
      const name = rawHeaders[i] ?? ''
      const { variable, ambiguous } = headerVariable(name)
      if (!ambiguous) continue
      if (ambiguousHeaders === 'reject') throw badHeader(name, 'has an ambiguous name')
      const taken = variable === undefined || plain.has(variable) || isOurs(variable)
      const passes = ambiguousHeaders === 'allow' && !taken && variable !== 'HTTP_AUTHORIZATION'
      if (!passes) this.#onDropped(name, 'its name is ambiguous')
      else if (named?.has(name.toLowerCase()) !== true) {
        fields += `${name}: ${rawHeaders[i + 1]}\r\n`
      }
    }
    return fields
  }

  /** H-13: what a trusted proxy said is gone on with; what anybody else said is replaced. */
  #forwarded(request: GatewayRequest, seen: Seen, address: string): ByteString {
    const { forwarded, stripPrefix, path } = this.#route
    const isAddress = address !== 'unix:'
    const scheme = request.tls ? 'https' : 'http'
    const host = seen.forwardedHost ?? seen.host
    let fields = ''
    const chain = isAddress ? joined(seen.for, address) : seen.for
    if (chain !== undefined) fields += `X-Forwarded-For: ${chain}\r\n`
    fields += `X-Forwarded-Proto: ${seen.proto ?? scheme}\r\n`
    if (host !== undefined) fields += `X-Forwarded-Host: ${host}\r\n`
    if (stripPrefix && path !== '/') fields += `X-Forwarded-Prefix: ${path.slice(0, -1)}\r\n`
    if (forwarded) {
      const hop = `for=${forwardedNode(address)};proto=${scheme}`
      const last = seen.host === undefined ? hop : `${hop};host=${quoted(seen.host)}`
      fields += `Forwarded: ${joined(seen.forwarded, last)}\r\n`
    }
    return fields
  }
}

/** X-Forwarded-Ssl, -Scheme, -Port… are as good a lie as the others. */
function isOurs(variable: string): boolean {
  return ours.has(variable) || variable.startsWith('HTTP_X_FORWARDED_')
}

/** Takes a field that is ours to say; false: it passes as it is. */
function note(seen: Seen, variable: string, value: ByteString, trusted: boolean): boolean {
  switch (variable) {
    case 'HTTP_HOST':
      seen.host = value
      return true
    case 'HTTP_COOKIE':
      // B-12.
      seen.cookie = seen.cookie === undefined ? value : `${seen.cookie}; ${value}`
      return true
    case 'HTTP_EXPECT':
    case 'HTTP_X_REQUEST_ID':
      return true
  }
  if (!trusted) return true
  switch (variable) {
    case 'HTTP_X_FORWARDED_FOR':
      seen.for = joined(seen.for, value)
      return true
    case 'HTTP_FORWARDED':
      seen.forwarded = joined(seen.forwarded, value)
      return true
    case 'HTTP_X_FORWARDED_PROTO':
      seen.proto = value
      return true
    case 'HTTP_X_FORWARDED_HOST':
      seen.forwardedHost = value
      return true
    default:
      return false
  }
}

/** Names that Connection lists, in lower case (B-21); undefined where it lists no field. */
function namedInConnection(rawHeaders: readonly ByteString[]): ReadonlySet<string> | undefined {
  let named: Set<string> | undefined
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue
    const value = (rawHeaders[i + 1] ?? '').toLowerCase()
    if (value === 'keep-alive' || value === 'close' || value === 'upgrade') continue
    named ??= new Set()
    for (const token of value.split(',')) named.add(token.trim())
  }
  return named
}

function joined(list: ByteString | undefined, last: ByteString): ByteString {
  return list === undefined ? last : `${list}, ${last}`
}

/** RFC 7239 §6: IPv6 in brackets and quotes, who has no address is unknown. */
function forwardedNode(address: string): string {
  if (address === 'unix:') return 'unknown'
  return address.includes(':') ? `"[${address}]"` : address
}

function quoted(host: ByteString): ByteString {
  return /[^\w.-]/.test(host) ? `"${host.replaceAll(/["\\]/g, '')}"` : host
}

function badHeader(name: ByteString, what: string): GatewayError {
  return new GatewayError('BAD_HEADER', `${name} ${what}.`)
}
