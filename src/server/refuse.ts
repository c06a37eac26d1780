/**
 * Answers a request that failed: status, page and the fields that belong to the status.
 *
 * Sees to it that the connection stays usable or is closed: a body that nobody reads is drained up to a
 * limit, so that the client gets to read the answer instead of a reset.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'
import { serverSoftware } from '../version.js'
import { errorPage } from './error-page.js'

/** What is read of a refused body, and for how long, before the connection is cut. */
const drainBytes = 16 * 1024 * 1024
const drainMs = 5_000
/** Retry-After of a 503, in seconds. */
const retryAfter = '1'

/** What the page may tell. */
export interface Refusal {
  readonly id: string
  /** Clients on loopback see the cause. */
  readonly dev: boolean
  /** The last of the program's stderr. */
  readonly stderr: string
}

/** Sends the page; answers the number of body bytes. */
export function refuse(
  req: IncomingMessage,
  res: ServerResponse,
  error: GatewayError,
  { id, dev, stderr }: Refusal,
): number {
  const detailed = dev && isLoopback(req.socket.remoteAddress)
  const page = Buffer.from(errorPage(error, id, detailed ? stderr : undefined))
  const headers: ByteString[] = [
    'Content-Type',
    'text/html; charset=utf-8',
    'Content-Length',
    String(page.length),
    'Cache-Control',
    'no-store',
    'X-Request-Id',
    id,
    'Server',
    serverSoftware,
  ]
  if (error.status === 503) headers.push('Retry-After', retryAfter)
  if (error.status === 405) headers.push('Allow', error.detail)
  // A client that still waits for 100 Continue may or may not send its body now.
  const unsure = req.headers.expect !== undefined && !req.complete
  // One that has stopped sending will not go on.
  const last = error.code === 'DRAINING' || error.code === 'BODY_TIMEOUT'
  if (unsure || last) headers.push('Connection', 'close')
  res.writeHead(error.status, headers)
  res.end(req.method === 'HEAD' ? undefined : page)
  if (!req.complete) drain(req)
  return req.method === 'HEAD' ? 0 : page.length
}

function drain(req: IncomingMessage): void {
  let bytes = 0
  const cut = setTimeout(() => req.socket.destroy(), drainMs)
  req.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > drainBytes) req.socket.destroy()
  })
  const done = (): void => clearTimeout(cut)
  req.once('close', done)
  req.socket.once('close', done)
  req.resume()
}

/** Whether the peer is this machine; unix sockets are, as far as TCP can tell. */
export function isLoopback(address: string | undefined): boolean {
  if (address === undefined || address === '::1') return true
  return address.startsWith('127.') || address.startsWith('::ffff:127.')
}
