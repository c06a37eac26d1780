/**
 * Answers requests below one route by asking a FastCGI application: START READING HERE for FastCGI.
 *
 * Find the script where there are files, make the body ready, then a run of its own carries the request: it
 * waits for a place at an upstream, sends, and hands the head on. What grows: one run per request, bounded
 * by the capacities of the upstreams and the length of their queue.
 */

import { placeBelow, type ScriptPlace } from '../backend/request-variables.js'
import { Runs } from '../backend/runs.js'
import { TimeKeeper } from '../backend/time-limits.js'
import { toText } from '../byte-string.js'
import { reportDropped } from '../cgi/dropped-headers.js'
import { hostEnvironment } from '../cgi/environment.js'
import { HeadResponses } from '../cgi/head-response.js'
import { emptyBody, noBody, prepareBody, type ReadyBody } from '../cgi/request-body.js'
import { asGatewayError, GatewayError } from '../errors.js'
import type { ByteString, Gateway, GatewayRequest, GatewayResponse } from '../gateway.js'
import type { Logger } from '../log.js'
import type { Upstreams } from '../upstream/upstreams.js'
import { attemptsOn } from './attempts.js'
import { Connections } from './connections.js'
import { type FilterData, openFilterData } from './filter-data.js'
import type { FastCgiRouteConfig } from './options.js'
import { Params } from './params.js'
import { type Role, role as roleCodes } from './record.js'
import { RequestRun } from './request-run.js'
import type { RunContext } from './run-context.js'
import type { FileFinder } from './script-file.js'

/** Workers of our own: they end after the last request. */
export interface GatewayWorkers {
  close(): Promise<void>
  kill(): void
}

export interface FastCgiGatewayOptions {
  readonly route: FastCgiRouteConfig
  readonly upstreams: Upstreams
  readonly workers?: GatewayWorkers | undefined
  /** Finds the script or file of a request; undefined: the application has the whole prefix. */
  readonly files: FileFinder | undefined
  /** Absolute; DOCUMENT_ROOT and the base of PATH_TRANSLATED. */
  readonly documentRoot: ByteString | undefined
  readonly serverName: string | undefined
  readonly serverSoftware: string
  /** Longest pause of a client that sends a body, milliseconds; 0: none. */
  readonly clientBodyMs: number
  readonly log: Logger
  /** Default: that of the route. */
  readonly role?: Role
  /** The server's own environment, for `env.pass`. */
  readonly hostEnvironment?: NodeJS.ProcessEnv
}

/** Bodies up to this size are collected first: a slow client holds no worker, and they can be sent again. */
const collectedBytes = 16 * 1024

export class FastCgiGateway implements Gateway {
  readonly #options: FastCgiGatewayOptions
  readonly #role: Role
  readonly #params: Params
  readonly #responses: HeadResponses
  readonly #connections: Connections
  readonly #context: RunContext
  readonly #runs = new Runs()
  /** SCRIPT_NAME where there are no files. */
  readonly #prefix: ByteString

  constructor(options: FastCgiGatewayOptions) {
    const { route, upstreams, log, clientBodyMs } = options
    const isOurs = route.backend.kind === 'workers'
    const limits = { ...route.timeouts, bodyMs: clientBodyMs }
    this.#options = options
    this.#role = options.role ?? route.role
    this.#prefix = route.path.slice(0, -1)
    this.#responses = new HeadResponses(route, log)
    this.#params = new Params({
      role: this.#role,
      env: route.env,
      hostEnvironment: options.hostEnvironment ?? hostEnvironment(),
      documentRoot: options.documentRoot,
      serverName: options.serverName,
      serverSoftware: options.serverSoftware,
      passAuthorization: route.passAuthorization,
      ambiguousHeaders: route.ambiguousHeaders,
      onDropped: reportDropped(log),
    })
    this.#connections = new Connections({
      connectMs: route.timeouts.connectMs,
      probe: route.probe || isOurs,
      capacityGiven: route.capacity !== undefined,
      // Asking an authorizer again does no harm.
      cautious: !isOurs && this.#role !== 'authorizer',
      trace: route.trace,
      log,
    })
    this.#context = {
      route,
      limits,
      upstreams,
      supplied: isOurs,
      connections: this.#connections,
      sender: attemptsOn(this.#connections),
      time: new TimeKeeper(limits),
      responses: this.#responses,
      newHeadSource: () => this.#responses.newSource('refused'),
      log,
      runs: this.#runs,
    }
  }

  send(request: GatewayRequest): Promise<GatewayResponse> {
    const { route, files } = this.#options
    try {
      const found = files?.(request.rest)
      if (found?.kind === 'redirect') {
        return Promise.resolve(this.#responses.redirect(found.path, request.query))
      }
      if (found?.kind === 'file') {
        return Promise.resolve(this.#responses.file(toText(found.file) ?? found.file))
      }
      if (route.methods !== undefined && !route.methods.includes(request.method)) {
        throw new GatewayError('METHOD_NOT_ALLOWED', route.methods.join(', '))
      }
      if (found !== undefined) request.facts.script = found.file
      const place = found ?? placeBelow(this.#prefix, request.rest)
      const { length, stream } = request.body
      const hasBody = stream !== undefined && length !== 0 && this.#role !== 'authorizer'
      if (hasBody || this.#role === 'filter') return this.#collect(request, place)
      return this.#run(request, place, length === 0 ? emptyBody : noBody)
    } catch (error) {
      return Promise.reject(asGatewayError(error))
    }
  }

  async close(): Promise<void> {
    const { upstreams, workers, route } = this.#options
    upstreams.close()
    await this.#runs.drain(route.timeouts.graceMs)
    this.#connections.close()
    await workers?.close()
  }

  kill(): void {
    const { upstreams, workers } = this.#options
    upstreams.close()
    this.#runs.failAll()
    this.#connections.close()
    workers?.kill()
  }

  /** For requests that need more than their head: a body, the file that a filter works on. */
  async #collect(request: GatewayRequest, place: ScriptPlace): Promise<GatewayResponse> {
    const { route, clientBodyMs } = this.#options
    const body = await prepareBody(request, route, clientBodyMs, collectedBytes)
    try {
      const isFiltered = this.#role === 'filter' && place.file !== undefined
      const data = isFiltered ? await openFilterData(place.file) : undefined
      return await this.#run(request, place, body, data)
    } catch (error) {
      body.dispose()
      throw error
    }
  }

  #run(
    request: GatewayRequest,
    place: ScriptPlace,
    body: ReadyBody,
    data?: FilterData,
  ): Promise<GatewayResponse> {
    const variables = this.#params.of(request, place, body.contentLength)
    if (data !== undefined) {
      variables.set('FCGI_DATA_LAST_MOD', String(data.lastModified))
      variables.set('FCGI_DATA_LENGTH', String(data.length))
    }
    const role = roleCodes[this.#role]
    const sent = { role, fixedPairs: this.#params.fixedPairs, variables, body, data }
    return new Promise((resolve, reject) => {
      const run = new RequestRun(this.#context, request, sent, resolve, reject)
      run.start()
    })
  }
}
