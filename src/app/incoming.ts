/**
 * Meta-variables (RFC 3875 §4.1) → the IncomingMessage that a node:http handler expects.
 *
 * Byte strings stay as they are, which is what node:http gives as header text too. May grow: a variable
 * that means a field. The names of the fields seen are kept, up to a bound.
 */
import { IncomingMessage } from 'node:http'
import type { ByteString } from '../gateway.js'
import { RequestSocket } from './request-socket.js'

/**
 * What node:http's parser calls: it alone sets `rawHeaders`, `headers` and `headersDistinct` together, the
 * latter two made when they are asked for. Not documented, there since Node 0.x.
 */
interface Internals extends IncomingMessage {
  _addHeaderLines(rawHeaders: readonly string[], count: number): void
}

/** Field names that are remembered by their variable. */
const maxNames = 1_000
const namesByVariable = new Map<ByteString, string>()

/** `req.signal`, as an own property: frameworks change the prototype of a request. */
const signalProperty: PropertyDescriptor & ThisType<IncomingMessage> = {
  configurable: true,
  enumerable: false,
  get() {
    const socket: unknown = this.socket
    return socket instanceof RequestSocket ? socket.signal : undefined
  },
}

/** A request with method, target, fields and version; its body comes through the socket. */
export function createIncoming(socket: RequestSocket): IncomingMessage {
  const { variables } = socket
  const request = new IncomingMessage(socket.asSocket())
  request.method = variables.get('REQUEST_METHOD') ?? 'GET'
  request.url = targetOf(variables)
  setVersion(request, variables.get('SERVER_PROTOCOL') ?? '')
  const fields: ByteString[] = []
  for (const [name, value] of variables) {
    const field = fieldOf(name)
    if (field === undefined) continue
    // Unset and empty are the same for these two (RFC 3875 §4.1.2, §4.1.3).
    if (value === '' && (name === 'CONTENT_LENGTH' || name === 'CONTENT_TYPE')) continue
    fields.push(field, value)
  }
  ;(request as Internals)._addHeaderLines(fields, fields.length)
  Object.defineProperty(request, 'signal', signalProperty)
  return request
}

/**
 * All meta-variables of a request that came through this library, with one character per byte.
 * @throws TypeError for a request of node:http itself
 */
export function variablesOf(request: IncomingMessage): ReadonlyMap<ByteString, ByteString> {
  const socket: unknown = request.socket
  if (socket instanceof RequestSocket) return socket.variables
  throw new TypeError('variablesOf: this is a request of node:http itself, it has no variables')
}

/** The field that a variable stands for. */
function fieldOf(variable: ByteString): string | undefined {
  const known = namesByVariable.get(variable)
  if (known !== undefined) return known
  const name = fieldName(variable)
  if (name !== undefined && namesByVariable.size < maxNames) namesByVariable.set(variable, name)
  return name
}

function fieldName(variable: ByteString): string | undefined {
  switch (variable) {
    case 'CONTENT_TYPE':
      return 'content-type'
    case 'CONTENT_LENGTH':
      return 'content-length'
    // Some servers tell these twice; the body has one length.
    case 'HTTP_CONTENT_TYPE':
    case 'HTTP_CONTENT_LENGTH':
      return undefined
    default:
      if (!variable.startsWith('HTTP_') || variable.length === 5) return undefined
      return variable.slice(5).replaceAll('_', '-').toLowerCase()
  }
}

/** The target as the client sent it, where the web server tells; else put together from its parts. */
function targetOf(variables: ReadonlyMap<ByteString, ByteString>): ByteString {
  const target = variables.get('REQUEST_URI')
  if (target !== undefined && target !== '') return target
  const path = (variables.get('SCRIPT_NAME') ?? '') + (variables.get('PATH_INFO') ?? '')
  const query = variables.get('QUERY_STRING') ?? ''
  const encoded = path.replace(/[^\w\-.~!$&'()*+,;=:@/]/g, percentEncoded)
  return `${encoded === '' ? '/' : encoded}${query === '' ? '' : `?${query}`}`
}

function percentEncoded(byte: string): string {
  return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}

function setVersion(request: IncomingMessage, protocol: string): void {
  const version = /^HTTP\/(\d)(?:\.(\d))?$/.exec(protocol)
  request.httpVersionMajor = version === null ? 1 : Number(version[1])
  request.httpVersionMinor = version === null ? 1 : Number(version[2] ?? '0')
  request.httpVersion = `${request.httpVersionMajor}.${request.httpVersionMinor}`
}
