/**
 * Requests that never become an exchange: bytes that are not HTTP, heads that are too large or too slow,
 * and CONNECT.
 *
 * Each gets a short answer, an access line, and a closed connection. An answer already on its way on the
 * same connection is never written into: the connection is cut.
 */
import type { IncomingMessage } from 'node:http'
import { STATUS_CODES } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ErrorCode, GatewayError } from '../errors.js'
import { serverSoftware } from '../version.js'
import { errorPage } from './error-page.js'
import type { Site } from './exchange.js'

/** Answers what node's parser could not read. */
export function answerBrokenRequest(site: Site, error: Error, socket: Duplex): void {
  const code = 'code' in error ? String(error.code) : ''
  if (code === 'ECONNRESET' || code === 'EPIPE' || !socket.writable) {
    socket.destroy()
    return
  }
  const packet =
    'rawPacket' in error && Buffer.isBuffer(error.rawPacket) ? error.rawPacket : undefined
  if (hasAnswerUnderWay(socket)) {
    socket.destroy()
    return
  }
  const detail = 'reason' in error ? String(error.reason) : ''
  answer(site, socket, new GatewayError(errorCodeFor(code, packet), detail), '-', '-')
}

/** CONNECT asks for a forward proxy. */
export function refuseConnect(site: Site, req: IncomingMessage, socket: Duplex): void {
  answer(site, socket, new GatewayError('METHOD_NOT_SUPPORTED'), 'CONNECT', req.url ?? '')
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

/** node keeps the response that a connection is busy with; its head may be out already. */
function hasAnswerUnderWay(socket: Duplex): boolean {
  const busy: unknown = '_httpMessage' in socket ? socket._httpMessage : undefined
  return (
    typeof busy === 'object' && busy !== null && 'headersSent' in busy && busy.headersSent === true
  )
}

function answer(
  site: Site,
  socket: Duplex,
  error: GatewayError,
  method: string,
  target: string,
): void {
  const id = site.nextId()
  const page = Buffer.from(errorPage(error, id, undefined))
  const head =
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? 'Error'}\r\n` +
    `Content-Type: text/html; charset=utf-8\r\nContent-Length: ${page.length}\r\n` +
    `X-Request-Id: ${id}\r\nServer: ${serverSoftware}\r\nConnection: close\r\n\r\n`
  const remote = socket instanceof Socket ? socket.remoteAddress : undefined
  socket.on('error', () => {})
  socket.end(Buffer.concat([Buffer.from(head, 'latin1'), page]), () => socket.destroy())
  site.log.warn({ id, code: error.code, remote }, error.message)
  site.access({
    id,
    time: new Date(),
    remote: remote ?? 'unix:',
    method,
    target,
    protocol: 'HTTP/1.1',
    status: error.status,
    bytes: page.length,
    wallMs: 0,
    error: error.code,
  })
}
