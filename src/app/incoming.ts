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
export function createIncoming(
  socket: RequestSocket,
  pairs: readonly ByteString[],
): IncomingMessage {
  const request = new IncomingMessage(socket.asSocket())
  const fields: ByteString[] = []
  let protocol = ''
  request.method = 'GET'
  for (let at = 0; at < pairs.length; at += 2) {
    const name = pairs[at] ?? ''
    const value = pairs[at + 1] ?? ''
    switch (name) {
      case 'REQUEST_METHOD':
        request.method = value
        break
      case 'REQUEST_URI':
        request.url = value
        break
      case 'SERVER_PROTOCOL':
        protocol = value
        break
      default: {
        const field = fieldOf(name)
        // Unset and empty are the same for CONTENT_LENGTH and CONTENT_TYPE (RFC 3875 §4.1.2, §4.1.3).
        if (field === undefined || (value === '' && name.startsWith('CONTENT_'))) break
        fields.push(field, value)
      }
    }
  }
  if (!request.url) request.url = targetOf(socket.variables)
  setVersion(request, protocol)
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
  if (!variable.startsWith('HTTP_') && !variable.startsWith('CONTENT_')) return undefined
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

/** The target put together from its parts, where the web server does not tell how the client sent it. */
function targetOf(variables: ReadonlyMap<ByteString, ByteString>): ByteString {
  const path = (variables.get('SCRIPT_NAME') ?? '') + (variables.get('PATH_INFO') ?? '')
  const query = variables.get('QUERY_STRING') ?? ''
  const encoded = path.replace(/[^\w\-.~!$&'()*+,;=:@/]/g, percentEncoded)
  return `${encoded === '' ? '/' : encoded}${query === '' ? '' : `?${query}`}`
}

function percentEncoded(byte: string): string {
  return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}

function setVersion(request: IncomingMessage, protocol: string): void {
  if (protocol === 'HTTP/1.1') {
    request.httpVersionMajor = 1
    request.httpVersionMinor = 1
    request.httpVersion = '1.1'
    return
  }
  const version = /^HTTP\/(\d)(?:\.(\d))?$/.exec(protocol)
  request.httpVersionMajor = version === null ? 1 : Number(version[1])
  request.httpVersionMinor = version === null ? 1 : Number(version[2] ?? '0')
  request.httpVersion = `${request.httpVersionMajor}.${request.httpVersionMinor}`
}
