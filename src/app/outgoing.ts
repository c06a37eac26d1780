/**
 * The ServerResponse of a node:http handler, whose head is a CGI head (RFC 3875 §6) instead of HTTP's.
 *
 * Leans on one internal of node:http, `_storeHeader(statusLine, headers)`, which has made the text of the
 * head since Node 0.x: replacing it is the one way in which no framing of HTTP (chunked coding, Connection,
 * Date) can get in, whatever a handler sets. It is an own property, since frameworks change the prototype
 * of a response.
 */
import {
  type IncomingMessage,
  type OutgoingHttpHeaders,
  ServerResponse,
  validateHeaderName,
  validateHeaderValue,
} from 'node:http'
import { RequestSocket } from './request-socket.js'

/** What `writeHead` was given when no field had been set before: an object, or a list in one of two forms. */
type GivenHeaders = OutgoingHttpHeaders | readonly unknown[] | null | undefined

/** The parts of OutgoingMessage that its types leave out. */
interface Internals extends ServerResponse {
  /** Documented (Node 15.4), but left out too. */
  getRawHeaderNames(): string[]
  _storeHeader: (statusLine: string, headers: GivenHeaders) => void
  _header: string | null
  _headerSent: boolean
  /** False for HEAD, 204 and 304. */
  _hasBody: boolean
  /** Set by an `end` that has the whole body. */
  _contentLength: number | null
  _removedContLen: boolean
}

const statusLineStart = 'HTTP/1.1 '.length

/** A response to the request, whose head is stored by `storeHead`. */
export function createOutgoing(request: IncomingMessage): ServerResponse {
  const response = new ServerResponse(request) as Internals
  response._storeHeader = storeHead
  return response
}

function storeHead(this: Internals, statusLine: string, given: GivenHeaders): void {
  let head = `Status: ${statusLine.slice(statusLineStart)}`
  let hasLength = false
  const names = this.getRawHeaderNames()
  for (const name of names) {
    if (!belongsInHead(name)) continue
    hasLength ||= isContentLength(name)
    head += fieldLines(name, this.getHeader(name))
  }
  // With a field set before, `writeHead` has set the given ones as well.
  if (names.length === 0 && given) {
    for (const [name, value] of givenFields(given)) {
      validateHeaderName(name)
      for (const one of Array.isArray(value) ? value : [value]) validateHeaderValue(name, one)
      if (!belongsInHead(name)) continue
      hasLength ||= isContentLength(name)
      head += fieldLines(name, value)
    }
  }
  if (!hasLength && this._hasBody && this._contentLength !== null && !this._removedContLen) {
    head += `Content-Length: ${this._contentLength}\r\n`
  }
  this._header = `${head}\r\n`
  // It goes its own way, as latin-1; node:http would join it to the text of the body.
  this._headerSent = true
  const socket: unknown = this.socket
  if (socket instanceof RequestSocket) socket.writeHead(this._header)
}

function* givenFields(given: NonNullable<GivenHeaders>): Generator<[name: string, value: string]> {
  if (!Array.isArray(given)) {
    yield* Object.entries(given) as [string, string][]
    return
  }
  if (Array.isArray(given[0])) {
    yield* given
    return
  }
  for (let index = 0; index < given.length; index += 2) yield [given[index], given[index + 1]]
}

function fieldLines(name: string, value: number | string | readonly string[] | undefined): string {
  if (typeof value !== 'object') return `${name}: ${value}\r\n`
  let lines = ''
  for (const one of value) lines += `${name}: ${one}\r\n`
  return lines
}

/** Fields that frame a message on one connection are the web server's, and Status is the first line. */
function belongsInHead(name: string): boolean {
  switch (name.length) {
    case 2:
    case 6:
    case 7:
    case 10:
    case 16:
    case 17:
      return !framing.has(name.toLowerCase())
    default:
      return true
  }
}

const framing = new Set([
  ...['te', 'status', 'trailer', 'upgrade', 'connection', 'keep-alive', 'proxy-connection'],
  'transfer-encoding',
])

function isContentLength(name: string): boolean {
  return name.length === 14 && name.toLowerCase() === 'content-length'
}
