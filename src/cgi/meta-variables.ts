/**
 * A request as meta-variables (RFC 3875 §4.1): the one list that every protocol encodes.
 *
 * Pure. Bounded by the limits on the request's head. A new variable is one line here and one test; how
 * header names become variables is `header-variables.ts`, what the config adds is `environment.ts`.
 */
import { GatewayError } from '../errors.js'
import type { ByteString, GatewayRequest } from '../gateway.js'
import { headerVariable } from './header-variables.js'

/** The facts that variables are made of. Names and paths are byte strings. */
export interface MetaVariableInput {
  readonly request: GatewayRequest
  /** Decoded path of the script; empty when it is mounted at the root. */
  readonly scriptName: ByteString
  readonly pathInfo: ByteString | undefined
  /** Absolute path of the file; undefined: the program has no file for the request. */
  readonly scriptFilename: ByteString | undefined
  /** Absolute path. Undefined: no DOCUMENT_ROOT and no PATH_TRANSLATED. */
  readonly documentRoot: ByteString | undefined
  /** Octets of the body without transfer coding; undefined when there is none or it is not counted. */
  readonly contentLength: number | undefined
  /** `name/version`. */
  readonly serverSoftware: string
  /** Configured name; undefined: the request's host, else the local address. */
  readonly serverName: string | undefined
  /** Whether the program sees Authorization (B-19). */
  readonly passAuthorization: boolean
  /** What happens to field names with other characters than letters, digits and hyphens (B-15). */
  readonly ambiguousHeaders: 'drop' | 'reject' | 'allow'
  /** `git`: Git-Protocol becomes GIT_PROTOCOL as well (B-27). */
  readonly preset: 'git' | undefined
  /** Called for each field that is dropped because of its name. */
  readonly onDropped?: (name: ByteString, reason: string) => void
  /** What the gateway itself has verified; never taken from the request. */
  readonly authentication?: { readonly type: string; readonly user: ByteString }
}

/**
 * Makes the variables of a request, by name.
 * @throws GatewayError BAD_HEADER for a repeated Authorization or Host (B-13), a line end or NUL in a
 * value (B-2), and for ambiguous names when they are to be rejected
 */
export function metaVariables(input: MetaVariableInput): Map<string, ByteString> {
  const { request, scriptName, pathInfo } = input
  const { remote, local } = request
  const remoteAddress = plainAddress(remote.address)
  const localAddress = plainAddress(local.address)
  const variables = new Map<string, ByteString>()

  variables.set('GATEWAY_INTERFACE', 'CGI/1.1')
  variables.set('SERVER_SOFTWARE', input.serverSoftware)
  variables.set('SERVER_NAME', input.serverName ?? request.host ?? addressAsName(localAddress))
  variables.set('SERVER_ADDR', localAddress)
  // RFC 3875 §4.1.15 wants a port where a unix socket has none: what the scheme implies.
  variables.set('SERVER_PORT', String(local.port ?? (request.tls ? 443 : 80)))
  variables.set('SERVER_PROTOCOL', request.protocol)
  variables.set('REQUEST_SCHEME', request.tls ? 'https' : 'http')
  if (request.tls) variables.set('HTTPS', 'on')
  variables.set('REMOTE_ADDR', remoteAddress)
  variables.set('REMOTE_HOST', remoteAddress)
  if (remote.port !== undefined) variables.set('REMOTE_PORT', String(remote.port))
  variables.set('REQUEST_METHOD', request.method)
  variables.set('REQUEST_URI', request.target)
  variables.set('QUERY_STRING', request.query)
  variables.set('SCRIPT_NAME', scriptName)
  if (input.scriptFilename !== undefined) variables.set('SCRIPT_FILENAME', input.scriptFilename)
  variables.set('DOCUMENT_URI', pathInfo === undefined ? scriptName : scriptName + pathInfo)
  if (pathInfo !== undefined) variables.set('PATH_INFO', pathInfo)
  setDocumentRoot(variables, input.documentRoot, pathInfo)
  // php-cgi refuses to work without.
  variables.set('REDIRECT_STATUS', '200')
  variables.set('REQUEST_ID', request.id)
  if (input.contentLength !== undefined) {
    variables.set('CONTENT_LENGTH', String(input.contentLength))
  }
  if (input.authentication !== undefined) {
    variables.set('AUTH_TYPE', input.authentication.type)
    variables.set('REMOTE_USER', input.authentication.user)
  }

  setHeaderVariables(variables, input)
  // After the client's fields: its own X-Request-Id is not the one in the log.
  variables.set('HTTP_X_REQUEST_ID', request.id)
  if (request.authorized !== undefined) {
    for (const [name, value] of request.authorized) variables.set(name, value)
  }
  return variables
}

/** Those that may differ from request to request, beside `HTTP_…`. */
const requestVariables: ReadonlySet<string> = new Set([
  ...['SERVER_NAME', 'SERVER_ADDR', 'SERVER_PORT', 'SERVER_PROTOCOL', 'REQUEST_SCHEME', 'HTTPS'],
  ...['REMOTE_ADDR', 'REMOTE_HOST', 'REMOTE_PORT', 'REMOTE_USER', 'REMOTE_IDENT', 'AUTH_TYPE'],
  ...[
    'REQUEST_METHOD',
    'REQUEST_URI',
    'REQUEST_ID',
    'QUERY_STRING',
    'SCRIPT_NAME',
    'SCRIPT_FILENAME',
  ],
  ...[
    'DOCUMENT_URI',
    'PATH_INFO',
    'PATH_TRANSLATED',
    'CONTENT_LENGTH',
    'CONTENT_TYPE',
    'GIT_PROTOCOL',
  ],
])

/** Whether a variable of this name may differ from request to request of one route. */
export function isRequestVariable(name: string): boolean {
  return name.startsWith('HTTP_') || requestVariables.has(name)
}

function setDocumentRoot(
  variables: Map<string, ByteString>,
  documentRoot: ByteString | undefined,
  pathInfo: ByteString | undefined,
): void {
  if (documentRoot === undefined) return
  variables.set('DOCUMENT_ROOT', documentRoot)
  // RFC 3875 §4.1.6: only with PATH_INFO.
  if (pathInfo === undefined) return
  const root = documentRoot.endsWith('/') ? documentRoot.slice(0, -1) : documentRoot
  variables.set('PATH_TRANSLATED', root + pathInfo)
}

function setHeaderVariables(variables: Map<string, ByteString>, input: MetaVariableInput): void {
  const { rawHeaders } = input.request
  let connection = ''
  let someAmbiguous = false
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    const value = rawHeaders[i + 1] ?? ''
    const { variable, ambiguous, separator } = headerVariable(name)
    if (ambiguous) someAmbiguous = true
    else if (variable !== undefined) addField(variables, variable, name, value, separator)
    else if (name.toLowerCase() === 'connection') connection += `,${value}`
  }
  if (someAmbiguous) settleAmbiguous(variables, input)
  dropListed(variables, connection)

  if (!input.passAuthorization) variables.delete('HTTP_AUTHORIZATION')
  const gitProtocol = variables.get('HTTP_GIT_PROTOCOL')
  if (input.preset === 'git' && gitProtocol !== undefined) {
    variables.set('GIT_PROTOCOL', gitProtocol)
  }
}

const endsLine = /[\0\r\n]/

function addField(
  variables: Map<string, ByteString>,
  variable: string,
  name: ByteString,
  value: ByteString,
  separator: string | undefined,
): void {
  if (endsLine.test(value)) throw badHeader(name, 'holds a line end or a NUL byte')
  const earlier = variables.get(variable)
  if (earlier === undefined) {
    variables.set(variable, value)
    return
  }
  if (separator === undefined) throw badHeader(name, 'is repeated')
  variables.set(variable, earlier + separator + value)
}

/**
 * After all other fields, so that no ambiguous name takes or joins the variable of a plain one (B-17),
 * whichever came first.
 */
function settleAmbiguous(variables: Map<string, ByteString>, input: MetaVariableInput): void {
  const { ambiguousHeaders, onDropped } = input
  const { rawHeaders } = input.request
  const setBy = new Map<string, string>()
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    const { variable, ambiguous, separator } = headerVariable(name)
    if (!ambiguous) continue
    if (ambiguousHeaders === 'reject') throw badHeader(name, 'has an ambiguous name')
    if (ambiguousHeaders === 'drop' || variable === undefined) {
      onDropped?.(name, 'its name is ambiguous')
      continue
    }
    const lowerCase = name.toLowerCase()
    if (variables.has(variable) && setBy.get(variable) !== lowerCase) {
      onDropped?.(name, `another field is ${variable}`)
      continue
    }
    setBy.set(variable, lowerCase)
    addField(variables, variable, name, rawHeaders[i + 1] ?? '', separator)
  }
}

/** Drops the fields that Connection names: they are for this hop (B-21, RFC 9110 §7.6.1). */
function dropListed(variables: Map<string, ByteString>, connection: string): void {
  if (connection === '' || connection === ',keep-alive' || connection === ',close') return
  for (const token of connection.split(',')) {
    const { variable } = headerVariable(token.trim())
    if (variable !== undefined) variables.delete(variable)
  }
}

/** B, REMOTE_ADDR: an IPv4 address in IPv6 clothes becomes IPv4 again; the zone means nothing elsewhere. */
export function plainAddress(address: string): string {
  if (address.startsWith('::ffff:') && address.includes('.')) return address.slice(7)
  const zone = address.indexOf('%')
  return zone === -1 ? address : address.slice(0, zone)
}

/** An address where a host name is expected: IPv6 in brackets, a unix socket as `localhost`. */
function addressAsName(address: string): string {
  if (address === 'unix:') return 'localhost'
  return address.includes(':') ? `[${address}]` : address
}

function badHeader(name: ByteString, what: string): GatewayError {
  return new GatewayError('BAD_HEADER', `${name} ${what}.`)
}
