/**
 * One request from top to bottom: START READING HERE.
 *
 * Read the request, route it, let the gateway answer, go round again for a local redirect (RFC 3875
 * §6.2.2), reply, log. Holds nothing between requests. A gateway never sees `res`; a failure becomes a
 * status here and nowhere else.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { asGatewayError, GatewayError } from '../errors.js'
import type { ByteString, GatewayRequest, GatewayResponse, ProgramFacts } from '../gateway.js'
import type { Logger } from '../log.js'
import type { StaticFiles } from '../static/files.js'
import { serverSoftware } from '../version.js'
import type { AccessEntry } from './access-log.js'
import type { ServerLimits } from './config.js'
import type { Mount } from './mounts.js'
import { refuse } from './refuse.js'
import { reply } from './reply.js'
import { requestFacts } from './request-facts.js'
import type { Router } from './router.js'
import { parseTarget, settleEncodedSlashes, type Target } from './target.js'

/** What every exchange of one server shares. */
export interface Site {
  readonly router: Router<Mount>
  readonly files: StaticFiles | undefined
  readonly limits: ServerLimits
  /** Local redirects in one exchange; one more is an error. */
  readonly maxRedirects: number
  /** Show causes to clients on loopback. */
  readonly dev: boolean
  readonly log: Logger
  readonly access: (entry: AccessEntry) => void
  readonly nextId: () => string
  /** The server is going down: start nothing new. */
  readonly draining: () => boolean
}

/** State of one exchange; written only in this file. */
interface Trip {
  readonly id: string
  readonly time: Date
  readonly started: number
  readonly left: AbortController
  status: number
  bytes: number
  error: GatewayError | undefined
  facts: ProgramFacts
  referer: ByteString | undefined
  userAgent: ByteString | undefined
}

/** How a request came in. */
export interface Arrival {
  /** The client waits for `100 Continue` before it sends its body. */
  readonly waits: boolean
  /** The whole request target: a framework may have cut `req.url`. */
  readonly url: ByteString
  /** Called instead of answering when there is nothing at the path. */
  readonly next: (() => void) | undefined
}

/**
 * Handles one request of node:http. Never throws and never rejects; settles when the answer is over and
 * the access line is written.
 */
export async function exchange(
  site: Site,
  req: IncomingMessage,
  res: ServerResponse,
  arrival: Arrival,
): Promise<void> {
  const trip: Trip = {
    id: site.nextId(),
    time: new Date(),
    started: performance.now(),
    left: new AbortController(),
    status: 0,
    bytes: 0,
    error: undefined,
    facts: {},
    referer: undefined,
    userAgent: undefined,
  }
  const over = new Promise<void>(resolve => {
    res.once('close', () => {
      if (!res.writableFinished) {
        trip.error ??= new GatewayError('CLIENT_LEFT')
        trip.left.abort()
      }
      resolve()
    })
  })
  try {
    await answer(site, req, res, trip, arrival)
  } catch (error) {
    const failure = asGatewayError(error)
    if (arrival.next !== undefined && failure.status === 404 && !res.headersSent) {
      arrival.next()
      return
    }
    fail(site, req, res, trip, arrival.url, failure)
  }
  await over
  await trip.facts.ended
  site.access(accessEntry(req, res, trip))
}

async function answer(
  site: Site,
  req: IncomingMessage,
  res: ServerResponse,
  trip: Trip,
  { url, waits }: Arrival,
): Promise<void> {
  const method = req.method ?? ''
  const facts = requestFacts(method.length + url.length + 10, req.rawHeaders, site.limits)
  trip.referer = facts.referer
  trip.userAgent = facts.userAgent
  if (site.draining()) throw new GatewayError('DRAINING')
  if (method === 'OPTIONS' && url === '*') {
    res.writeHead(200, ['Content-Length', '0', 'Server', serverSoftware])
    res.end()
    return
  }
  const protocol = `HTTP/${req.httpVersion}`
  let target = parseTarget(url, method, facts.hosts, protocol)
  let request: GatewayRequest = {
    id: trip.id,
    method,
    target: target.target,
    protocol,
    path: target.path,
    rest: '',
    query: target.query,
    rawHeaders: withHost(req.rawHeaders, target),
    host: target.host,
    remote: endpoint(req.socket.remoteAddress, req.socket.remotePort),
    local: endpoint(req.socket.localAddress, req.socket.localPort),
    tls: 'encrypted' in req.socket,
    body: {
      length: facts.chunked ? undefined : facts.length,
      stream: facts.chunked || (facts.length ?? 0) > 0 ? req : undefined,
      invite: waits ? () => res.writeContinue() : () => {},
    },
    signal: trip.left.signal,
    redirects: 0,
    inform: (status, headers) => inform(res, status, headers),
    facts: trip.facts,
  }
  for (;;) {
    const matched = site.router.match(request.path)
    if (matched === undefined) {
      if (site.files === undefined) throw new GatewayError('NOT_FOUND')
      await site.files.serve(req, res, request.path)
      return
    }
    const { gateway, encodedSlash } = matched.route
    const rest = settleEncodedSlashes(matched.rest, encodedSlash)
    const response = await gateway.send({ ...request, rest })
    if (response.localRedirect === undefined) {
      await deliver(site, req, res, trip, request, response)
      return
    }
    response.body.cancel()
    const { localRedirect } = response
    site.log.info({ id: trip.id, from: request.target, to: localRedirect }, 'local redirect')
    if (localRedirect === request.target) {
      await deliver(site, req, res, trip, request, clientRedirect(response, localRedirect))
      return
    }
    if (request.redirects >= site.maxRedirects) {
      throw new GatewayError('REDIRECT_LOOP', `The last was to ${localRedirect}`)
    }
    await trip.facts.ended
    trip.facts = {}
    target = parseTarget(localRedirect, 'GET', facts.hosts, protocol)
    request = redirected(request, target, trip.facts)
  }
}

/** RFC 3875 §6.2.2: what a GET of the other path would give; the body has been used up. */
function redirected(request: GatewayRequest, target: Target, facts: ProgramFacts): GatewayRequest {
  return {
    ...request,
    method: request.method === 'HEAD' ? 'HEAD' : 'GET',
    target: target.target,
    path: target.path,
    query: target.query,
    body: { length: undefined, stream: undefined, invite: () => {} },
    redirects: request.redirects + 1,
    facts,
  }
}

/** E-6: a script that points at itself is the client's to follow. */
function clientRedirect(response: GatewayResponse, location: ByteString): GatewayResponse {
  return {
    ...response,
    status: 302,
    headers: ['Location', location],
    localRedirect: undefined,
    length: 0,
  }
}

async function deliver(
  site: Site,
  req: IncomingMessage,
  res: ServerResponse,
  trip: Trip,
  request: GatewayRequest,
  response: GatewayResponse,
): Promise<void> {
  if (res.destroyed) {
    response.body.cancel()
    return
  }
  if (response.sendFile !== undefined && site.files !== undefined) {
    response.body.cancel()
    await site.files.sendFile(req, res, response.sendFile, response.headers, response.status)
    return
  }
  reply(req, res, response, serverSoftware, {
    sent: bytes => {
      trip.bytes += bytes
    },
    broken: error => {
      trip.error ??= error
      report(site, trip, request.target, error)
    },
  })
}

function fail(
  site: Site,
  req: IncomingMessage,
  res: ServerResponse,
  trip: Trip,
  target: ByteString,
  error: GatewayError,
): void {
  trip.error ??= error
  report(site, trip, target, error)
  if (error.code === 'CLIENT_LEFT' || res.headersSent || res.destroyed) {
    res.destroy()
    return
  }
  trip.bytes += refuse(req, res, error, trip.id, site.dev)
}

/** Every failure has one line that says why in plain words; a missing page is only in the access log. */
function report(site: Site, trip: Trip, target: ByteString, error: GatewayError): void {
  const { facts } = trip
  const fields = { id: trip.id, code: error.code, script: facts.script, pid: facts.pid, target }
  if (error.code === 'INTERNAL') site.log.error({ ...fields, err: error.cause }, error.message)
  else if (error.status === 499 || error.status === 404) site.log.debug(fields, error.message)
  else if (error.status >= 500) site.log.error(fields, `${error.message} ${error.remedy}`)
  else site.log.warn(fields, error.message)
}

/** RFC 9112 §3.2.2: the authority of an absolute-form target replaces the Host field. */
function withHost(rawHeaders: readonly ByteString[], target: Target): readonly ByteString[] {
  const { authority } = target
  if (authority === undefined) return rawHeaders
  const headers = ['Host', authority]
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    if (name.toLowerCase() !== 'host') headers.push(name, rawHeaders[i + 1] ?? '')
  }
  return headers
}

function endpoint(address: string | undefined, port: number | undefined): GatewayRequest['remote'] {
  return { address: address ?? 'unix:', port }
}

/** E-23: only 103 means anything to a client; a Link that node refuses is left out. */
function inform(res: ServerResponse, status: number, headers: readonly ByteString[]): void {
  if (status !== 103 || res.headersSent || res.req.httpVersionMinor === 0) return
  const hints: Record<string, string | string[]> = {}
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]?.toLowerCase() ?? ''
    const value = headers[i + 1] ?? ''
    const earlier = hints[name]
    hints[name] = earlier === undefined ? value : [earlier, value].flat()
  }
  try {
    res.writeEarlyHints({ ...hints, link: hints['link'] ?? [] })
  } catch {
    // A hint is only a hint.
  }
}

function accessEntry(req: IncomingMessage, res: ServerResponse, trip: Trip): AccessEntry {
  const { facts, error } = trip
  const length = trip.bytes === 0 && res.writableFinished ? res.getHeader('content-length') : 0
  const hasBody = req.method !== 'HEAD' && res.statusCode !== 304
  return {
    id: trip.id,
    time: trip.time,
    remote: req.socket.remoteAddress ?? 'unix:',
    method: req.method ?? '',
    target: req.url ?? '',
    protocol: `HTTP/${req.httpVersion}`,
    status: res.headersSent ? res.statusCode : (error?.status ?? 499),
    bytes: trip.bytes + (hasBody ? Number(length ?? 0) : 0),
    wallMs: performance.now() - trip.started,
    referer: trip.referer,
    userAgent: trip.userAgent,
    facts,
    error: error?.code,
  }
}
