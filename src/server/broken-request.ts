/**
 * Requests that never become an exchange: bytes that are not HTTP, heads that are too large or too slow,
 * and CONNECT.
 *
 * Each gets a short answer, an access line, and a closed connection. An answer already on its way on the
 * same connection is never written into: the connection is cut.
 */
import { type IncomingMessage, ServerResponse, STATUS_CODES } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ErrorCode, GatewayError } from '../errors.js'
import { serverSoftware } from '../version.js'
import { errorPage } from './error-page.js'
import type { Site } from './site.js'

/** Answers what node's parser could not read. */
export function answerBrokenRequest(site: Site, error: Error, socket: Duplex): void {
  const code = 'code' in error ? String(error.code) : ''
  if (code === 'ECONNRESET' || code === 'EPIPE' || !socket.writable) {
    socket.destroy()
    return
  }
  const packet =
    'rawPacket' in error && Buffer.isBuffer(error.rawPacket) ? error.rawPacket : undefined
  const detail = 'reason' in error ? String(error.reason) : ''
  const failure = new GatewayError(errorCodeFor(code, packet), detail)
  const busy = responseUnderWay(socket)
  if (busy === undefined) {
    const id = site.nextId()
    const bytes = answer(socket, failure, id, () => socket.destroy())
    report(site, socket, failure, { id, bytes, method: '-', target: '-' })
    return
  }
  if (busy.headersSent || code === 'HPE_INVALID_EOF_STATE') {
    socket.destroy()
    return
  }
  // The body of a request that has its exchange already: that one writes the access line.
  answer(socket, failure, site.nextId(), () => busy.req.destroy(failure))
}

/** CONNECT asks for a forward proxy. */
export function refuseConnect(site: Site, req: IncomingMessage, socket: Duplex): void {
  const id = site.nextId()
  const failure = new GatewayError('METHOD_NOT_SUPPORTED')
  const bytes = answer(socket, failure, id, () => socket.destroy())
  report(site, socket, failure, { id, bytes, method: 'CONNECT', target: req.url ?? '' })
}

function errorCodeFor(code: string, packet: Buffer | undefined): ErrorCode {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      // Without a line end in sight it is the request line that does not end.
      return packet !== undefined && !packet.includes('\n') ? 'URI_TOO_LONG' : 'HEAD_TOO_LARGE'
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'HEAD_TIMEOUT'
    default:
      return 'BAD_REQUEST'
  }
}

/** node keeps the response that a connection is busy with. */
function responseUnderWay(socket: Duplex): ServerResponse | undefined {
  const busy: unknown = '_httpMessage' in socket ? socket._httpMessage : undefined
  return busy instanceof ServerResponse ? busy : undefined
}

/** Writes a whole answer past node's own; returns the bytes of its body. */
function answer(socket: Duplex, error: GatewayError, id: string, then: () => void): number {
  const page = Buffer.from(errorPage(error, id, undefined))
  const head =
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? 'Error'}\r\n` +
    `Content-Type: text/html; charset=utf-8\r\nContent-Length: ${page.length}\r\n` +
    `X-Request-Id: ${id}\r\nServer: ${serverSoftware}\r\nConnection: close\r\n\r\n`
  socket.on('error', () => {})
  socket.end(Buffer.concat([Buffer.from(head, 'latin1'), page]), then)
  return page.length
}

function report(
  site: Site,
  socket: Duplex,
  error: GatewayError,
  seen: { id: string; bytes: number; method: string; target: string },
): void {
  const remote = (socket instanceof Socket ? socket.remoteAddress : undefined) ?? 'unix:'
  site.log.warn({ id: seen.id, code: error.code, remote }, error.message)
  site.access({
    ...seen,
    time: new Date(),
    remote,
    protocol: 'HTTP/1.1',
    status: error.status,
    wallMs: 0,
    error: error.code,
  })
}
