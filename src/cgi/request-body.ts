/**
 * Makes a request body ready for a program's stdin (conventions D, RFC 3875 §4.2).
 *
 * A body of known length streams straight through. A chunked one is spooled first, so that
 * CONTENT_LENGTH can be told, unless the route says `requestBody: stream`. Nothing is started before
 * a spooled body is whole: a short one never reaches a program.
 */
import type { Readable } from 'node:stream'
import { GatewayError } from '../errors.js'
import type { GatewayRequest } from '../gateway.js'
import type { PipeWriter, SpawnSpec } from '../process/spawner.js'
import type { ProgramRouteConfig } from './options.js'
import { type FeedEvents, feedBuffer, feedStream } from './script-input.js'
import { spoolBody } from './spool.js'

/** A body on its way to stdin. */
export interface ReadyBody {
  /** CONTENT_LENGTH, or undefined when there is no body or its length is not known. */
  readonly contentLength: number | undefined
  readonly stdin: SpawnSpec['stdin']
  /** All of it, when it is in memory; then it may be fed again. */
  readonly buffer: Buffer | undefined
  /** Feeds the pipe; only called when `stdin` is `pipe`. */
  feed(stdin: PipeWriter, events: FeedEvents): void
  /** Gives back what the body holds; the program keeps its own descriptor. */
  dispose(): void
}

const nothingToFeed = (): void => {}

/** Of a request without a body. */
export const noBody: ReadyBody = {
  contentLength: undefined,
  stdin: 'none',
  buffer: undefined,
  feed: nothingToFeed,
  dispose: nothingToFeed,
}

/** Of a request that says `Content-Length: 0`. */
export const emptyBody: ReadyBody = { ...noBody, contentLength: 0 }

/** What of a route decides about request bodies. */
export type BodyRoute = Pick<ProgramRouteConfig, 'limits' | 'requestBody'>

/**
 * A body of known length up to `collectedBytes` is collected too: whoever sends it can send it at once, and again.
 * @throws GatewayError BODY_TOO_LARGE, BODY_TIMEOUT, CLIENT_LEFT
 */
export async function prepareBody(
  request: GatewayRequest,
  route: BodyRoute,
  clientBodyMs: number,
  collectedBytes = 0,
): Promise<ReadyBody> {
  const { length, stream } = request.body
  const limit = route.limits.bodyBytes
  if (stream === undefined || length === 0) return length === 0 ? emptyBody : noBody
  if (length !== undefined && length > limit) {
    throw new GatewayError('BODY_TOO_LARGE', `${length} bytes; the limit is ${limit}.`)
  }
  const large = length !== undefined && length > collectedBytes
  if (large || route.requestBody === 'stream') {
    return streamed(request, stream, length, limit)
  }
  request.body.invite()
  const spooled = await spoolBody(stream, {
    memoryBytes: route.limits.spoolMemoryBytes,
    limitBytes: limit,
    idleMs: clientBodyMs,
    signal: request.signal,
  })
  const { buffer, fd } = spooled
  return {
    contentLength: spooled.length,
    stdin: fd ?? (spooled.length === 0 ? 'none' : 'pipe'),
    buffer,
    feed: (stdin, events) => feedBuffer(stdin, buffer ?? Buffer.alloc(0), events),
    dispose: () => spooled.dispose(),
  }
}

function streamed(
  request: GatewayRequest,
  stream: Readable,
  contentLength: number | undefined,
  limit: number,
): ReadyBody {
  return {
    contentLength,
    stdin: 'pipe',
    buffer: undefined,
    feed: (stdin, events) => {
      request.body.invite()
      feedStream(stdin, stream, limit, events)
    },
    dispose: nothingToFeed,
  }
}
