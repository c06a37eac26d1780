/**
 * From the head that a program printed to the response of the gateway.
 *
 * Chooses how the head is read (headers, a status line for nph-, none for plainOutput), answers conditional
 * requests (E-36), checks X-Sendfile against its allow-list (E-29), and says in the log what was dropped.
 */
import { realpathSync } from 'node:fs'
import { join, sep } from 'node:path'
import fresh from 'fresh'
import { fromText } from '../byte-string.js'
import { GatewayError } from '../errors.js'
import type { ByteString, GatewayRequest, GatewayResponse, ResponseBody } from '../gateway.js'
import type { Logger } from '../log.js'
import { decodedBody } from './decoded-body.js'
import type { HeadSource } from './head-reader.js'
import type { ProgramRouteConfig } from './options.js'
import type { FieldOptions } from './response-fields.js'
import { type ResponseHead, ResponseHeadParser } from './response-head.js'

/** Longest line of a head. */
const lineBytes = 16 * 1024

/** What of a route decides about heads. */
export type HeadRoute = Pick<
  ProgramRouteConfig,
  'limits' | 'sendfile' | 'decodeChunked' | 'passAuthorization'
> & {
  /** All of stdout is the body; absent: no. */
  readonly plainOutput?: boolean
}

export class HeadResponses {
  readonly #route: HeadRoute
  readonly #log: Logger

  constructor(route: HeadRoute, log: Logger) {
    this.#route = route
    this.#log = log
  }

  /** What reads the head of one run; `statusLine` as in `FieldOptions`. */
  newSource(statusLine: FieldOptions['statusLine']): HeadSource {
    const { limits, plainOutput, sendfile, decodeChunked } = this.#route
    if (plainOutput === true) return plainSource
    return new ResponseHeadParser({
      maxBytes: limits.responseHeadBytes,
      maxFields: limits.responseHeaderCount,
      maxLineBytes: Math.min(lineBytes, limits.responseHeadBytes),
      statusLine,
      sendfile: sendfile.length > 0,
      decodeChunked,
    })
  }

  /** The response for a head and the body behind it. @throws GatewayError SENDFILE_DENIED */
  response(request: GatewayRequest, head: ResponseHead, body: ResponseBody): GatewayResponse {
    for (const warning of head.warnings) {
      this.#log.warn({ id: request.id, script: request.facts.script }, warning)
    }
    if (head.status === 401 && !this.#route.passAuthorization && sentAuthorization(request)) {
      this.#log.warn(
        { id: request.id, script: request.facts.script },
        'the script answers 401 but never sees the Authorization header: set passAuthorization: true on the route if it checks passwords itself',
      )
    }
    const notModified = head.status === 200 && !head.statusGiven && isFresh(request, head)
    return {
      status: notModified ? 304 : head.status,
      reason: notModified ? undefined : head.reason,
      headers: head.headers,
      length: notModified ? undefined : head.length,
      body: head.chunked ? decodedBody(body) : body,
      close: head.close,
      localRedirect: head.localRedirect,
      sendFile: head.sendfile === undefined ? undefined : this.#allowed(head.sendfile),
    }
  }

  /** the same URL with its slash. */
  redirect(path: ByteString, query: ByteString): GatewayResponse {
    const headers = ['Location', query === '' ? path : `${path}?${query}`]
    return { ...emptyResponse, status: 301, headers, length: 0 }
  }

  /** A file that is answered without asking a program; its absolute path. */
  file(path: string): GatewayResponse {
    return { ...emptyResponse, sendFile: path }
  }

  /** X-Sendfile names a file, X-Accel-Redirect a path below one of the folders. */
  #allowed(asked: ByteString): string {
    const file = Buffer.from(asked, 'latin1').toString('utf8')
    const folders = this.#route.sendfile.map(folder => realPath(folder) ?? folder)
    for (const candidate of [file, ...folders.map(folder => join(folder, file))]) {
      const real = realPath(candidate)
      if (real !== undefined && folders.some(folder => real.startsWith(folder + sep))) return real
    }
    const code = realPath(file) === undefined ? 'NOT_FOUND' : 'SENDFILE_DENIED'
    throw new GatewayError(code, `The program asked for ${file}`)
  }
}

/** Absolute, without links; undefined when there is nothing. */
function realPath(file: string): string | undefined {
  try {
    return realpathSync(file)
  } catch {
    return undefined
  }
}

const plainHead: ResponseHead = {
  status: 200,
  reason: undefined,
  headers: ['Content-Type', fromText('text/plain; charset=utf-8')],
  length: undefined,
  close: false,
  statusGiven: true,
  localRedirect: undefined,
  sendfile: undefined,
  chunked: false,
  warnings: [],
}

/** E-25: everything printed is the body. */
const plainSource: HeadSource = {
  push: chunk => ({ head: plainHead, rest: chunk }),
  finish: () => new GatewayError('NO_OUTPUT'),
}

const emptyBody: ResponseBody = {
  flow: sink => sink.end(),
  pause: () => {},
  resume: () => {},
  cancel: () => {},
}

const emptyResponse: GatewayResponse = {
  status: 200,
  reason: undefined,
  headers: [],
  length: undefined,
  body: emptyBody,
  close: false,
  localRedirect: undefined,
  sendFile: undefined,
}

function sentAuthorization(request: GatewayRequest): boolean {
  return field(request.rawHeaders, 'authorization') !== undefined
}

/** RFC 9110 §13: the client has it already. */
function isFresh(request: GatewayRequest, head: ResponseHead): boolean {
  if (request.method !== 'GET' && request.method !== 'HEAD') return false
  const noneMatch = field(request.rawHeaders, 'if-none-match')
  const modifiedSince = field(request.rawHeaders, 'if-modified-since')
  if (noneMatch === undefined && modifiedSince === undefined) return false
  const cacheControl = field(request.rawHeaders, 'cache-control')
  return fresh(
    {
      'if-none-match': noneMatch,
      'if-modified-since': modifiedSince,
      'cache-control': cacheControl,
    },
    {
      etag: field(head.headers, 'etag'),
      'last-modified': field(head.headers, 'last-modified'),
    },
  )
}

/** First value of a field in a flat list of names and values; the name in lower case. */
function field(headers: readonly ByteString[], name: string): ByteString | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    const candidate = headers[i]
    if (candidate?.length === name.length && candidate.toLowerCase() === name) return headers[i + 1]
  }
  return undefined
}
