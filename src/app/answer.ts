/**
 * One request through a node:http handler, over whatever channel it came.
 *
 * A handler that throws, or whose promise is rejected, costs its request a 500 with the stack on the web
 * server's log, and nothing else.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Channel } from '../cgi/channel.js'
import { createIncoming } from './incoming.js'
import { createOutgoing } from './outgoing.js'
import { RequestSocket } from './request-socket.js'

/** What node:http, Express and Koa's `callback()` are; a promise that it returns is only watched. */
export type RequestHandler = (req: IncomingMessage, res: ServerResponse) => unknown

/** Hands the request to the handler; never throws. The body may be pushed once it has returned. */
export function answer(handler: RequestHandler, channel: Channel): void {
  const socket = new RequestSocket(channel)
  const req = createIncoming(socket, channel.pairs)
  const res = createOutgoing(req)
  socket.join(req, res)
  channel.expectBody()
  try {
    const result = handler(req, res)
    if (isThenable(result)) result.then(undefined, error => fail(res, socket, error))
  } catch (error) {
    fail(res, socket, error)
  }
}

function fail(res: ServerResponse, socket: RequestSocket, error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  socket.writeError(`${text}\n`)
  if (res.writableEnded) return
  if (res.headersSent) {
    res.destroy()
    return
  }
  for (const name of res.getHeaderNames()) res.removeHeader(name)
  res.statusCode = 500
  res.statusMessage = ''
  res.setHeader('Content-Type', 'text/plain; charset=utf-8')
  res.end('Internal Server Error\n')
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  )
}
