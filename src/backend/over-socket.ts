/**
 * Answers requests below one route by asking a program on a fresh connection each time: START READING HERE for
 * SCGI and uwsgi, which differ in how the head of a request is written.
 *
 * Make the body ready, encode, then a run of its own carries the request. What grows: one run per request,
 * bounded by the capacities of the upstreams and the length of their queue.
 */

import { reportDropped } from '../cgi/dropped-headers.js'
import { hostEnvironment } from '../cgi/environment.js'
import { HeadResponses } from '../cgi/head-response.js'
import type { AddressRouteConfig } from '../cgi/options.js'
import { emptyBody, noBody, prepareBody, type ReadyBody } from '../cgi/request-body.js'
import { asGatewayError, GatewayError } from '../errors.js'
import type { ByteString, Gateway, GatewayRequest, GatewayResponse } from '../gateway.js'
import type { Logger } from '../log.js'
import type { Upstreams } from '../upstream/upstreams.js'
import { placeBelow, RequestVariables } from './request-variables.js'
import { Runs } from './runs.js'
import { SocketAttempt } from './socket-attempt.js'
import { SocketRun, type SocketRunContext } from './socket-run.js'
import { TimeKeeper } from './time-limits.js'

/** A route to programs that answer on a connection for each request. */
export interface SocketRouteConfig extends AddressRouteConfig {
  /** Follow a Location without a host ourselves (RFC 3875 §6.2.2, E-12). */
  readonly localRedirects: boolean
}

/** What the gateways of both protocols are made of. */
export interface SocketGatewayOptions<Route extends SocketRouteConfig = SocketRouteConfig> {
  readonly route: Route
  readonly upstreams: Upstreams
  /** Absolute; DOCUMENT_ROOT and the base of PATH_TRANSLATED. */
  readonly documentRoot: ByteString | undefined
  readonly serverName: string | undefined
  readonly serverSoftware: string
  /** Longest pause of a client that sends a body, milliseconds; 0: none. */
  readonly clientBodyMs: number
  readonly log: Logger
  /** The server's own environment, for `env.pass`. */
  readonly hostEnvironment?: NodeJS.ProcessEnv
}

/**
 * The head of a request as the protocol writes it; it may change the variables.
 * @throws GatewayError for variables that cannot be written
 */
export type HeadEncoder = (
  variables: Map<ByteString, ByteString>,
  contentLength: number | undefined,
) => Buffer

/** Bodies up to this size are collected first: a slow client holds no program, and they can be sent again. */
const collectedBytes = 16 * 1024

export class SocketGateway implements Gateway {
  readonly #options: SocketGatewayOptions
  readonly #encode: HeadEncoder
  readonly #variables: RequestVariables
  readonly #context: SocketRunContext
  /** SCRIPT_NAME. */
  readonly #prefix: ByteString

  /** @throws TypeError for a NUL in a configured value */
  constructor(options: SocketGatewayOptions, encode: HeadEncoder) {
    const { route, upstreams, log, clientBodyMs } = options
    const limits = { ...route.timeouts, bodyMs: clientBodyMs }
    const responses = new HeadResponses(route, log)
    this.#options = options
    this.#encode = encode
    this.#prefix = route.path.slice(0, -1)
    this.#variables = new RequestVariables({
      env: route.env,
      hostEnvironment: options.hostEnvironment ?? hostEnvironment(),
      documentRoot: options.documentRoot,
      serverName: options.serverName,
      serverSoftware: options.serverSoftware,
      passAuthorization: route.passAuthorization,
      ambiguousHeaders: route.ambiguousHeaders,
      onDropped: reportDropped(log),
    })
    // The body is measured by it: it is never the config's to say.
    this.#variables.fixed.delete('CONTENT_LENGTH')
    this.#context = {
      limits,
      upstreams,
      supplied: false,
      sender: {
        prepared: () => undefined,
        send: (upstream, _fresh, _request, sent, owner) => new SocketAttempt(upstream, sent, owner),
        giveBack: attempt => attempt.destroy(),
      },
      time: new TimeKeeper(limits),
      responses,
      // G-25, H-4.
      newHeadSource: () => responses.newSource('accepted'),
      localRedirects: route.localRedirects,
      runs: new Runs(),
    }
  }

  send(request: GatewayRequest): Promise<GatewayResponse> {
    const { methods } = this.#options.route
    try {
      if (methods !== undefined && !methods.includes(request.method)) {
        throw new GatewayError('METHOD_NOT_ALLOWED', methods.join(', '))
      }
      const { length, stream } = request.body
      if (stream !== undefined && length !== 0) return this.#collect(request)
      return this.#run(request, length === 0 ? emptyBody : noBody)
    } catch (error) {
      return Promise.reject(asGatewayError(error))
    }
  }

  async close(): Promise<void> {
    const { upstreams, route } = this.#options
    upstreams.close()
    await this.#context.runs.drain(route.timeouts.graceMs)
  }

  kill(): void {
    this.#options.upstreams.close()
    this.#context.runs.failAll()
  }

  async #collect(request: GatewayRequest): Promise<GatewayResponse> {
    const { route, clientBodyMs } = this.#options
    const body = await prepareBody(request, route, clientBodyMs, collectedBytes)
    try {
      return await this.#run(request, body)
    } catch (error) {
      body.dispose()
      throw error
    }
  }

  /** @throws GatewayError for variables that cannot be sent; no place was asked for then */
  #run(request: GatewayRequest, body: ReadyBody): Promise<GatewayResponse> {
    const place = placeBelow(this.#prefix, request.rest)
    const variables = this.#variables.of(request, place, body.contentLength)
    for (const [name, value] of this.#variables.fixed) variables.set(name, value)
    const sent = { head: this.#encode(variables, body.contentLength), body }
    return new Promise((resolve, reject) => {
      new SocketRun(this.#context, request, sent, resolve, reject).start()
    })
  }
}
