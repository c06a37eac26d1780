/**
 * Answers requests below one route by asking an HTTP server: START READING HERE for HTTP upstreams.
 *
 * Make the body ready, write the head as it goes on, then a run of its own carries the request: it waits for a
 * place at an upstream, sends, and hands the answer on. What grows: one run per request, bounded by the
 * capacities of the upstreams and the length of their queue.
 */
import { Runs } from '../backend/runs.js'
import { TimeKeeper } from '../backend/time-limits.js'
import { reportDropped } from '../cgi/dropped-headers.js'
import { HeadResponses } from '../cgi/head-response.js'
import { prepareBody, type ReadyBody } from '../cgi/request-body.js'
import { asGatewayError, GatewayError } from '../errors.js'
import type { Gateway, GatewayRequest, GatewayResponse } from '../gateway.js'
import type { Logger } from '../log.js'
import type { Upstreams } from '../upstream/upstreams.js'
import { Connections } from './connections.js'
import { type BodyFraming, Forwarding } from './forwarding.js'
import type { ProxyRouteConfig } from './options.js'
import { RequestRun, type RunContext } from './request-run.js'

export interface ProxyGatewayOptions {
  readonly route: ProxyRouteConfig
  readonly upstreams: Upstreams
  /** Longest pause of a client that sends a body, milliseconds; 0: none. */
  readonly clientBodyMs: number
  readonly log: Logger
}

/** Bodies up to this size are collected first: a slow client holds no worker, and they can be sent again. */
const collectedBytes = 16 * 1024

const noBody: ReadyBody = {
  contentLength: undefined,
  stdin: 'none',
  buffer: undefined,
  feed: () => {},
  dispose: () => {},
}

const emptyBody: ReadyBody = { ...noBody, contentLength: 0 }

export class ProxyGateway implements Gateway {
  readonly #options: ProxyGatewayOptions
  readonly #forwarding: Forwarding
  readonly #connections: Connections
  readonly #context: RunContext
  readonly #runs = new Runs()

  constructor(options: ProxyGatewayOptions) {
    const { route, upstreams, log, clientBodyMs } = options
    const limits = { ...route.timeouts, bodyMs: clientBodyMs }
    this.#options = options
    this.#forwarding = new Forwarding(route, reportDropped(log))
    this.#connections = new Connections(route.timeouts.connectMs)
    this.#context = {
      limits,
      upstreams,
      supplied: false,
      sender: this.#connections,
      time: new TimeKeeper(limits),
      responses: new HeadResponses(route, log),
      runs: this.#runs,
    }
  }

  send(request: GatewayRequest): Promise<GatewayResponse> {
    const { route } = this.#options
    try {
      if (route.methods !== undefined && !route.methods.includes(request.method)) {
        throw new GatewayError('METHOD_NOT_ALLOWED', route.methods.join(', '))
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
    await this.#runs.drain(route.timeouts.graceMs)
    this.#connections.close()
  }

  kill(): void {
    this.#options.upstreams.close()
    this.#runs.failAll()
    this.#connections.close()
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

  #run(request: GatewayRequest, body: ReadyBody): Promise<GatewayResponse> {
    const { limits, sendfile } = this.#options.route
    const framing = framingOf(body)
    const { upgrade } = request
    const sent = {
      head: this.#forwarding.head(request, framing, upgrade),
      body,
      chunked: framing?.kind === 'chunked',
      upgrade,
      parser: {
        isHead: request.method === 'HEAD',
        maxBytes: limits.responseHeadBytes,
        maxFields: limits.responseHeaderCount,
        sendfile: sendfile.length > 0,
        upgrade: upgrade !== undefined,
      },
    }
    return new Promise((resolve, reject) => {
      new RequestRun(this.#context, request, sent, resolve, reject).start()
    })
  }
}

function framingOf({ contentLength, stdin }: ReadyBody): BodyFraming {
  if (contentLength !== undefined) return { kind: 'length', length: contentLength }
  return stdin === 'none' ? undefined : { kind: 'chunked' }
}
