/**
 * Sockets: open, hand each request to the exchange, drain, close.
 *
 * node:http carries the traffic; its limits come from the config. Requests in flight are counted so that
 * `close` can wait for them. Another HTTP engine would replace this file and `reply.ts`, nothing else.
 */
import { chmodSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hostEnvironment } from '../cgi/environment.js'
import type { Logger } from '../log.js'
import type { Spawner } from '../process/spawner.js'
import { formatCombined, formatJson } from './access-log.js'
import { answerBrokenRequest, refuseConnect } from './broken-request.js'
import type { Config, ListenAddress } from './config.js'
import { exchange } from './exchange.js'
import type { Mount } from './mount.js'
import { createFiles, createMounts, createSender, startWorkers } from './mounts.js'
import { createRequestIds } from './request-id.js'
import { createRouter } from './router.js'
import type { Site } from './site.js'
import { parseTarget } from './target.js'
import { removeStaleSocket } from './unix-socket.js'
import { askedUpgrade, responseOn, upgradingRequests } from './upgrade.js'

export interface ServerDependencies {
  readonly spawner: Spawner
  readonly log: Logger
  /** Takes one access line, without its line end. */
  readonly access: (line: string) => void
  /** The environment that programs' allow-listed variables come from; default: our own. */
  readonly environment?: NodeJS.ProcessEnv
  /** Breaks off a start: what waits for workers to be ready need not be waited for. */
  readonly signal?: AbortSignal
}

export interface RunningServer {
  /** `http://127.0.0.1:8000` or `unix:/path`, one per listening socket. */
  readonly addresses: readonly string[]
  /** Stops accepting, lets requests finish for `drainMs`, then ends programs. Settles when all is gone. */
  close(): Promise<void>
  /** Ends every program at once. */
  kill(): void
  /** Replaces the workers of all routes, one by one and without losing a request; settles when all are new. */
  reload(): Promise<void>
}

/**
 * Starts the workers of a config and, when all are ready, opens its sockets.
 * @throws StartFailure when a worker never becomes ready; the reason of `signal`; the system's error (EADDRINUSE, EACCES…) when a
 * socket cannot be opened. What had been started is ended again
 */
export async function startServer(
  config: Config,
  dependencies: ServerDependencies,
): Promise<RunningServer> {
  const { log, spawner, access, environment = hostEnvironment(), signal } = dependencies
  const mounts = await createMounts(config, { spawner, log, environment })
  const service = new Service(config, mounts, log, access)
  const servers: Server[] = []
  await startWorkers(mounts, signal)
  try {
    const addresses: string[] = []
    for (const address of config.listen) {
      const server = service.createServer()
      await listen(server, address)
      servers.push(server)
      addresses.push(nameOf(server, address))
    }
    return {
      addresses,
      close: () => service.close(servers),
      kill: () => service.kill(),
      reload: () => service.reload(),
    }
  } catch (error) {
    await service.close(servers)
    throw error
  }
}

/** One site behind any number of sockets. */
class Service {
  readonly #config: Config
  readonly #mounts: readonly Mount[]
  readonly #site: Site
  /** Requests whose exchange is not over. */
  #inFlight = 0
  #onIdle: () => void = () => {}
  #draining = false

  constructor(
    config: Config,
    mounts: readonly Mount[],
    log: Logger,
    access: (line: string) => void,
  ) {
    const format = config.log.access === 'json' ? formatJson : formatCombined
    this.#config = config
    this.#mounts = mounts
    this.#site = {
      router: createRouter(mounts),
      files: createFiles(config),
      sender: createSender(),
      limits: config.limits,
      dev: config.dev,
      log,
      access: config.log.access === 'off' ? () => {} : entry => access(format(entry)),
      nextId: createRequestIds(),
      draining: () => this.#draining,
    }
  }

  createServer(): Server {
    const { limits, timeouts } = this.#config
    const upgrades = this.#mounts.some(mount => mount.upgrades === true)
    const server = createServer({
      ...(upgrades ? { IncomingMessage: upgradingRequests(this.#canUpgrade) } : {}),
      // Past the sum node itself refuses; up to it `request-facts.ts` tells line and head apart.
      maxHeaderSize: limits.requestLineBytes + limits.headBytes,
      headersTimeout: timeouts.headMs,
      // A body may take as long as it moves: the gateways watch for pauses.
      requestTimeout: 0,
      keepAliveTimeout: timeouts.keepAliveMs,
      connectionsCheckingInterval: Math.max(250, Math.min(timeouts.headMs / 4, 5_000)),
      noDelay: true,
      // Ours to answer, with a page and an access line.
      requireHostHeader: false,
    })
    // The count is a limit of ours, with an answer; node would drop the rest without a word.
    server.maxHeadersCount = 0
    server.on('request', (req, res) => this.#handle(req, res, false))
    server.on('checkContinue', (req, res) => this.#handle(req, res, true))
    if (upgrades) {
      server.on('upgrade', (req, socket, head) =>
        this.#handle(req, responseOn(req, socket, head), false, askedUpgrade(req)),
      )
    }
    server.on('connect', (req, socket) => refuseConnect(this.#site, req, socket))
    server.on('clientError', (error, socket) => answerBrokenRequest(this.#site, error, socket))
    return server
  }

  /** Whether the request asks for another protocol, on a route that may have it. */
  readonly #canUpgrade = (req: IncomingMessage): boolean => {
    if (askedUpgrade(req) === undefined) return false
    try {
      const { path } = parseTarget(req.url ?? '', 'GET', [], 'HTTP/1.0')
      return this.#site.router.match(path)?.route.upgrades === true
    } catch {
      return false
    }
  }

  #handle(req: IncomingMessage, res: ServerResponse, waits: boolean, upgrade?: string): void {
    const arrival = { waits, url: req.url ?? '', next: undefined, upgrade }
    this.#inFlight++
    exchange(this.#site, req, res, arrival, this.#over)
  }

  readonly #over = (): void => {
    this.#inFlight--
    if (this.#inFlight === 0) this.#onIdle()
  }

  async close(servers: readonly Server[]): Promise<void> {
    this.#draining = true
    const closed = servers.map(
      server => new Promise<void>(resolve => server.close(() => resolve())),
    )
    for (const server of servers) server.closeIdleConnections()
    await this.#idleWithin(this.#config.timeouts.drainMs)
    await Promise.all(this.#mounts.map(mount => mount.gateway.close()))
    await this.#idleWithin(1_000)
    for (const server of servers) server.closeAllConnections()
    await Promise.all(closed)
  }

  /** Waits until no request is in flight or the time is over, whichever comes first. */
  #idleWithin(ms: number): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve()
    return new Promise(resolve => {
      const timer = setTimeout(resolve, ms)
      this.#onIdle = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  async reload(): Promise<void> {
    await Promise.all(this.#mounts.map(({ workers }) => workers?.reload()))
  }

  kill(): void {
    this.#draining = true
    for (const { gateway } of this.#mounts) gateway.kill()
  }
}

async function listen(server: Server, address: ListenAddress): Promise<void> {
  if (address.kind === 'unix') await removeStaleSocket(address.path)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    const opened = (): void => {
      server.off('error', reject)
      resolve()
    }
    if (address.kind === 'unix') server.listen(address.path, opened)
    else server.listen(address.port, address.host, opened)
  })
  // Nobody but user and group may send requests (fcgiwrap#38: a socket of mode 0666 ran anybody's).
  if (address.kind === 'unix') chmodSync(address.path, 0o660)
}

function nameOf(server: Server, address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  const { port } = server.address() as AddressInfo
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `http://${host}:${port}`
}
