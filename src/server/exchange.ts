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
import { serverSoftware } from '../version.js'
import type { AccessEntry } from './access-log.js'
import { Departure, leaving } from './departure.js'
import { clientRedirect, gatewayRequest, redirected } from './gateway-request.js'
import { refuse } from './refuse.js'
import { type ReplyEvents, reply } from './reply.js'
import { report } from './report.js'
import { type RequestFacts, requestFacts } from './request-facts.js'
import type { Arrival, Site } from './site.js'
import { parseTarget, settleEncodedSlashes, type Target } from './target.js'
import { switchProtocols } from './upgrade.js'

/** Local redirects in one exchange, as lighttpd has it; one more is an error. */
const maxRedirects = 5

/**
 * Handles one request of node:http. Never throws; calls `over` when the answer is over and the access line is
 * written, or when `next` has the request.
 */
export function exchange(
  site: Site,
  req: IncomingMessage,
  res: ServerResponse,
  arrival: Arrival,
  over: () => void,
): void {
  new Exchange(site, req, res, arrival, over).run()
}

/** One exchange under way. Calls rather than `await`: every request would pay for each step of a promise. */
class Exchange implements ReplyEvents {
  readonly #site: Site
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  readonly #arrival: Arrival
  readonly #over: () => void
  readonly #id: string
  readonly #time = new Date()
  readonly #started = performance.now()
  readonly #left = new Departure()
  #fields: RequestFacts | undefined
  /** The last one that a gateway was given. */
  #request: GatewayRequest | undefined
  #facts: ProgramFacts = {}
  #bytes = 0
  #error: GatewayError | undefined
  /** The answer is on its way, or there will be none. */
  #isAnswered = false
  /** The client has all of it, or is gone. */
  #isClosed = false

  constructor(
    site: Site,
    req: IncomingMessage,
    res: ServerResponse,
    arrival: Arrival,
    over: () => void,
  ) {
    this.#site = site
    this.#req = req
    this.#res = res
    this.#arrival = arrival
    this.#over = over
    this.#id = site.nextId()
  }

  run(): void {
    this.#res.on('close', () => this.#close())
    try {
      this.#begin()
    } catch (error) {
      this.#fail(error)
    }
  }

  #begin(): void {
    const site = this.#site
    const { url } = this.#arrival
    const { method = '', rawHeaders } = this.#req
    const fields = requestFacts(method.length + url.length + 10, rawHeaders, site.limits)
    this.#fields = fields
    if (site.draining()) throw new GatewayError('DRAINING')
    if (method === 'OPTIONS' && url === '*') {
      this.#res.writeHead(200, ['Content-Length', '0', 'Server', serverSoftware])
      this.#res.end()
      this.#settle()
      return
    }
    this.#route(this.#target(url, method, fields), fields, undefined)
  }

  #target(url: ByteString, method: string, { hosts }: RequestFacts): Target {
    return parseTarget(url, method, hosts, `HTTP/${this.#req.httpVersion}`)
  }

  /** Gives the request to what is at the target. `before`: the request whose answer led there. */
  #route(target: Target, fields: RequestFacts, before: GatewayRequest | undefined): void {
    const { router, files } = this.#site
    const req = this.#req
    const res = this.#res
    const matched = router.match(target.path)
    if (matched === undefined) {
      if (files === undefined) throw new GatewayError('NOT_FOUND')
      res.setHeader('Server', serverSoftware)
      this.#await(files.serve(req, res, target.path))
      return
    }
    const { gateway, encodedSlash } = matched.route
    const rest = settleEncodedSlashes(matched.rest, encodedSlash)
    const program = this.#facts
    const request =
      before === undefined
        ? gatewayRequest({
            req,
            res,
            id: this.#id,
            target,
            rest,
            facts: fields,
            waits: this.#arrival.waits,
            upgrade: this.#arrival.upgrade,
            signal: this.#left,
            program,
          })
        : redirected(before, target, rest, program)
    this.#request = request
    gateway.send(request).then(
      response => this.#take(request, response),
      error => this.#fail(error),
    )
  }

  #take(request: GatewayRequest, response: GatewayResponse): void {
    try {
      if (response.localRedirect === undefined) this.#deliver(response)
      else this.#follow(request, response, response.localRedirect)
    } catch (error) {
      this.#fail(error)
    }
  }

  #follow(request: GatewayRequest, response: GatewayResponse, location: ByteString): void {
    response.body.cancel()
    this.#site.log.info({ id: this.#id, from: request.target, to: location }, 'local redirect')
    if (location === request.target) {
      this.#deliver(clientRedirect(response, location))
      return
    }
    if (request.redirects >= maxRedirects) {
      throw new GatewayError('REDIRECT_LOOP', `The last was to ${location}`)
    }
    const again = async (): Promise<void> => {
      await this.#facts.ended
      const fields = this.#fields as RequestFacts
      this.#facts = {}
      this.#route(this.#target(location, 'GET', fields), fields, request)
    }
    again().catch((error: unknown) => this.#fail(error))
  }

  #deliver(response: GatewayResponse): void {
    const res = this.#res
    const { sendFile, tunnel } = response
    if (res.destroyed) {
      response.body.cancel()
      tunnel?.close()
      this.#settle()
      return
    }
    if (tunnel !== undefined) {
      const { headers, reason } = response
      switchProtocols(res, headers, reason, tunnel, bytes => this.sent(bytes))
      this.#settle()
      return
    }
    if (sendFile !== undefined) {
      response.body.cancel()
      res.setHeader('Server', serverSoftware)
      const { sender } = this.#site
      this.#await(sender.sendFile(this.#req, res, sendFile, response.headers, response.status))
      return
    }
    reply(this.#req, res, response, serverSoftware, this)
    this.#settle()
  }

  #await(answering: Promise<void>): void {
    answering.then(
      () => this.#settle(),
      error => this.#fail(error),
    )
  }

  #fail(reason: unknown): void {
    const error = asGatewayError(reason)
    const res = this.#res
    const { next, url } = this.#arrival
    if (next !== undefined && error.status === 404 && !res.headersSent) {
      next()
      this.#over()
      return
    }
    this.#error ??= error.code === 'CLIENT_LEFT' ? leaving(this.#req) : error
    report(this.#site.log, this.#id, this.#facts, url, error)
    if (error.code === 'CLIENT_LEFT' || res.headersSent || res.destroyed) res.destroy()
    else this.#refuse(error)
    this.#settle()
  }

  #refuse(error: GatewayError): void {
    this.#bytes += refuse(this.#req, this.#res, error, {
      id: this.#id,
      dev: this.#site.dev,
      stderr: this.#facts.stderr?.() ?? '',
    })
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (!this.#res.writableFinished) {
      this.#error ??= leaving(this.#req)
      this.#left.abort()
    }
    this.#end()
  }

  #settle(): void {
    this.#isAnswered = true
    this.#end()
  }

  /** The access line waits for the program, whose facts are in it. */
  #end(): void {
    if (!this.#isAnswered || !this.#isClosed) return
    const { ended } = this.#facts
    if (ended === undefined) this.#log()
    else void ended.then(() => this.#log())
  }

  #log(): void {
    this.#site.access(this.#accessEntry())
    this.#over()
  }

  sent(bytes: number): void {
    this.#bytes += bytes
  }

  broken(error: GatewayError): void {
    this.#error ??= error
    report(this.#site.log, this.#id, this.#facts, this.#request?.target ?? '', error)
  }

  cut(length: number): void {
    const { script, pid } = this.#facts
    const said = 'the program printed more than its Content-Length; the rest was dropped'
    this.#site.log.warn({ id: this.#id, script, pid, length }, said)
  }

  #accessEntry(): AccessEntry {
    const req = this.#req
    const res = this.#res
    const facts = this.#facts
    const error = this.#error
    const length = this.#bytes === 0 && res.writableFinished ? res.getHeader('content-length') : 0
    const hasBody = req.method !== 'HEAD' && res.statusCode !== 304
    return {
      id: this.#id,
      time: this.#time,
      remote: req.socket.remoteAddress ?? 'unix:',
      method: req.method ?? '',
      target: req.url ?? '',
      protocol: `HTTP/${req.httpVersion}`,
      status: res.headersSent ? res.statusCode : (error?.status ?? 499),
      bytes: this.#bytes + (hasBody ? Number(length ?? 0) : 0),
      wallMs: performance.now() - this.#started,
      referer: this.#fields?.referer,
      userAgent: this.#fields?.userAgent,
      script: facts.script,
      pid: facts.pid,
      queueMs: facts.queueMs,
      spawnMs: facts.spawnMs,
      firstByteMs: facts.firstByteMs,
      exit: facts.exit,
      error: error?.code,
    }
  }
}
