/**
 * The ServerResponse of a node:http handler, whose head is a CGI head (RFC 3875 §6) instead of HTTP's.
 *
 * Leans on one internal of node:http, `_storeHeader(statusLine, headers)`, which has made the text of the
 * head since Node 0.x, and on the form of the fields it is given: replacing it is the one way in which no framing of HTTP (chunked coding, Connection,
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
type GivenHeaders = OutgoingHttpHeaders | SetHeaders | readonly unknown[] | null | undefined

/** Fields that were set before: lower-case name → name and value. */
type SetHeaders = Readonly<Record<string, readonly [name: string, value: HeaderValue]>>
type HeaderValue = number | string | readonly string[] | undefined

/** The parts of OutgoingMessage that its types leave out. */
interface Internals extends ServerResponse {
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
  let areSet = false
  if (given && !Array.isArray(given)) {
    const fields = given as SetHeaders
    for (const key in fields) {
      // With any field set before, `writeHead` has set those it was given too, and gives them all.
      areSet ||= this.hasHeader(key)
      if (!areSet) break
      const entry = fields[key]
      if (entry === undefined || framing.has(key)) continue
      hasLength ||= key === 'content-length'
      head += fieldLines(entry[0], entry[1])
    }
  }
  if (given && !areSet) {
    for (const [name, value] of givenFields(given)) {
      validateHeaderName(name)
      for (const one of Array.isArray(value) ? value : [value]) validateHeaderValue(name, one)
      const key = name.toLowerCase()
      if (framing.has(key)) continue
      hasLength ||= key === 'content-length'
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

function fieldLines(name: string, value: HeaderValue): string {
  if (typeof value !== 'object') return `${name}: ${value}\r\n`
  let lines = ''
  for (const one of value) lines += `${name}: ${one}\r\n`
  return lines
}

/** Fields that frame a message on one connection are the web server's, and Status is the first line. */
const framing = new Set([
  ...['te', 'status', 'trailer', 'upgrade', 'connection', 'keep-alive', 'proxy-connection'],
  'transfer-encoding',
])
