/**
 * A call where a connection is one request: the head, the body, and an answer that ends with the connection.
 *
 * SCGI and uwsgi differ in their heads only, which are given as bytes. Of a body and of an answer no more is
 * held than the streams do.
 */
import { connect, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { GatewayError } from '../errors.js'
import type { ClientEnd } from '../fastcgi/client.js'
import { type Address, describeAddress } from '../upstream/address.js'
import { createCallTrace } from './call-trace.js'

/** What comes back, of any protocol. */
export interface CallAnswer {
  /** CGI head and body. Destroying it closes the connection. */
  readonly stdout: Readable
  /** Rejects as stdout fails; undefined where the protocol has no word for the end. */
  readonly ended: Promise<ClientEnd | undefined>
}

export interface SocketCall {
  readonly address: Address
  readonly protocol: 'scgi' | 'uwsgi'
  readonly head: Buffer
  readonly body?: Buffer | Readable
  /** Milliseconds until the answer has ended; 0: none. */
  readonly timeoutMs: number
  readonly trace?: (line: string) => void
}

/** Sends the request. The answer fails with UPSTREAM_UNREACHABLE, UPSTREAM_CLOSED, a time-out, or as the body does. */
export function callSocket(call: SocketCall): CallAnswer {
  const { address, timeoutMs } = call
  const trace = call.trace === undefined ? undefined : createCallTrace(call.protocol, call.trace)
  const socket = connect(
    address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port },
  )
  const { promise: ended, resolve, reject } = deferred()
  let timer: NodeJS.Timeout | undefined
  const stdout = new Readable({
    read: () => void socket.resume(),
    destroy: (error, done) => {
      clearTimeout(timer)
      socket.destroy()
      if (call.body instanceof Readable) call.body.destroy()
      trace?.ended()
      if (error === null) resolve()
      else reject(error)
      done(error)
    },
  })
  // Whoever reads it sees the failure all the same.
  stdout.on('error', () => {})
  if (timeoutMs > 0) {
    timer = setTimeout(() => stdout.destroy(late(socket, timeoutMs)), timeoutMs)
  }
  socket.on('connect', () => {
    trace?.head(call.head)
    socket.write(call.head)
    sendBody(call.body, socket, stdout, trace?.sent)
  })
  socket.on('data', chunk => {
    trace?.received(chunk)
    if (!stdout.push(chunk)) socket.pause()
  })
  socket.on('end', () => stdout.push(null))
  socket.on('error', error => stdout.destroy(failure(address, socket, error)))
  return { stdout, ended }
}

function sendBody(
  body: Buffer | Readable | undefined,
  socket: Socket,
  stdout: Readable,
  sent: ((bytes: Buffer) => void) | undefined,
): void {
  if (body === undefined) return
  if (Buffer.isBuffer(body)) {
    sent?.(body)
    socket.write(body)
    return
  }
  body.on('error', error => stdout.destroy(error))
  if (sent !== undefined) body.on('data', sent)
  body.pipe(socket, { end: false })
}

/** By whether there ever was a connection. */
function failure(address: Address, socket: Socket, error: Error): GatewayError {
  const why = 'code' in error ? String(error.code) : error.message
  return wasConnected(socket)
    ? new GatewayError('UPSTREAM_CLOSED', `${why}.`, { cause: error })
    : new GatewayError('UPSTREAM_UNREACHABLE', `${describeAddress(address)}: ${why}`, {
        cause: error,
      })
}

function late(socket: Socket, timeoutMs: number): GatewayError {
  const code = wasConnected(socket) ? 'TOTAL_TIMEOUT' : 'UPSTREAM_CONNECT_TIMEOUT'
  return new GatewayError(code, `After ${timeoutMs} ms.`)
}

/** The head is the first that is written. */
function wasConnected(socket: Socket): boolean {
  return socket.bytesWritten > 0
}

function deferred() {
  let resolve = (): void => {}
  let reject = (_error: unknown): void => {}
  const promise = new Promise<undefined>((settle, fail) => {
    resolve = () => settle(undefined)
    reject = fail
  })
  promise.catch(() => {})
  return { promise, resolve: () => resolve(), reject: (error: unknown) => reject(error) }
}
