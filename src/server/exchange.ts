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
import { Departure } from './departure.js'
import { gatewayRequest, redirected } from './gateway-request.js'
import type { Mount } from './mounts.js'
import { refuse } from './refuse.js'
import { reply } from './reply.js'
import { requestFacts } from './request-facts.js'
import type { Router } from './router.js'
import { parseTarget, settleEncodedSlashes } from './target.js'
import { switchProtocols } from './upgrade.js'

/** Local redirects in one exchange, as lighttpd has it; one more is an error. */
const maxRedirects = 5

/** What every exchange of one server shares. */
export interface Site {
  readonly router: Router<Mount>
  readonly files: StaticFiles | undefined
  /** Sends the files that programs name (X-Sendfile). */
  readonly sender: Pick<StaticFiles, 'sendFile'>
  readonly limits: ServerLimits
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
  readonly left: Departure
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
  /** The protocol that may be gone on with; undefined: none. */
  readonly upgrade?: ByteString | undefined
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
    left: new Departure(),
    bytes: 0,
    error: undefined,
    facts: {},
    referer: undefined,
    userAgent: undefined,
  }
  const over = new Promise<void>(resolve => {
    res.once('close', () => {
      if (!res.writableFinished) {
        trip.error ??= leaving(req)
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

/** Why the client is gone: it left, or what it sent was broken and it has been told so. */
function leaving(req: IncomingMessage): GatewayError {
  return req.errored instanceof GatewayError ? req.errored : new GatewayError('CLIENT_LEFT')
}

async function answer(
  site: Site,
  req: IncomingMessage,
  res: ServerResponse,
  trip: Trip,
  { url, waits, upgrade }: Arrival,
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
  let request = gatewayRequest({
    req,
    res,
    id: trip.id,
    target,
    facts,
    waits,
    upgrade,
    signal: trip.left,
    program: trip.facts,
  })
  for (;;) {
    const matched = site.router.match(request.path)
    if (matched === undefined) {
      if (site.files === undefined) throw new GatewayError('NOT_FOUND')
      res.setHeader('Server', serverSoftware)
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
    if (request.redirects >= maxRedirects) {
      throw new GatewayError('REDIRECT_LOOP', `The last was to ${localRedirect}`)
    }
    await trip.facts.ended
    trip.facts = {}
    target = parseTarget(localRedirect, 'GET', facts.hosts, protocol)
    request = redirected(request, target, trip.facts)
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
  const { tunnel } = response
  if (res.destroyed) {
    response.body.cancel()
    tunnel?.close()
    return
  }
  const sent = (bytes: number): void => {
    trip.bytes += bytes
  }
  if (tunnel !== undefined) {
    switchProtocols(res, response.headers, response.reason, tunnel, sent)
    return
  }
  if (response.sendFile !== undefined) {
    response.body.cancel()
    res.setHeader('Server', serverSoftware)
    await site.sender.sendFile(req, res, response.sendFile, response.headers, response.status)
    return
  }
  reply(req, res, response, serverSoftware, {
    sent,
    broken: error => {
      trip.error ??= error
      report(site, trip, request.target, error)
    },
    cut: length => {
      const { script, pid } = trip.facts
      const said = 'the program printed more than its Content-Length; the rest was dropped'
      site.log.warn({ id: trip.id, script, pid, length }, said)
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
  trip.error ??= error.code === 'CLIENT_LEFT' ? leaving(req) : error
  report(site, trip, target, error)
  if (error.code === 'CLIENT_LEFT' || res.headersSent || res.destroyed) {
    res.destroy()
    return
  }
  trip.bytes += refuse(req, res, error, {
    id: trip.id,
    dev: site.dev,
    stderr: trip.facts.stderr?.() ?? '',
  })
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
    script: facts.script,
    pid: facts.pid,
    queueMs: facts.queueMs,
    spawnMs: facts.spawnMs,
    firstByteMs: facts.firstByteMs,
    exit: facts.exit,
    error: error?.code,
  }
}
