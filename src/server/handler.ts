/**
 * CGI as a `(req, res)` handler for node:http, Express and Connect.
 *
 * The same exchange as the server's, with one mount and no sockets of its own. Whatever a script or a
 * client does, the host gets no exception and no unhandled rejection. What lives: the programs in flight,
 * until `close`.
 */
import { statSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { resolve } from 'node:path'
import { fromText } from '../byte-string.js'
import { CgiGateway } from '../cgi/gateway.js'
import { type CgiRouteConfig, defaultCgiRoute } from '../cgi/options.js'
import { type Logger, silentLogger } from '../log.js'
import { type Choice, chooseSpawner } from '../process/choose.js'
import { serverSoftware } from '../version.js'
import { type AccessEntry, formatCombined } from './access-log.js'
import { defaultConfig, type ServerLimits } from './config.js'
import { exchange } from './exchange.js'
import type { Mount } from './mount.js'
import { createSender } from './mounts.js'
import { createRequestIds } from './request-id.js'
import { createRouter } from './router.js'
import { findProgram, searchPathOf } from './search-path.js'
import type { Site } from './site.js'

/** Settings of a handler: those of a route, all with defaults, and a few of the server. */
export interface CgiHandlerOptions
  extends Partial<Omit<CgiRouteConfig, 'kind' | 'target' | 'program'>> {
  /** DOCUMENT_ROOT; default: the directory of scripts. */
  readonly root?: string
  /** SERVER_NAME; default: the request's host. */
  readonly serverName?: string
  /** Default: nothing is logged. */
  readonly log?: Logger
  /** Takes an access line (combined format) per request; default: none. */
  readonly access?: (line: string) => void
  /** Show causes of failures to clients on loopback; default false. */
  readonly dev?: boolean
  /** Limits on request line and head, checked after node's own. */
  readonly serverLimits?: ServerLimits
}

/** A handler for node:http and Connect-style frameworks. */
export interface CgiHandler {
  /** With `next`, a path without a script goes on to it instead of being answered with 404. */
  (req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void): void
  /** Ends the programs in flight: TERM, grace, KILL. Requests from then on get 503. */
  close(): Promise<void>
}

/** What Express and Connect add to a request when a handler is mounted below a path. */
interface MountedRequest {
  readonly baseUrl?: unknown
  readonly originalUrl?: unknown
}

/**
 * Serves a directory of scripts, or one program for everything below its prefix.
 *
 * `target`: the directory or program, relative to the working directory. `options.path` is the URL prefix;
 * without it the prefix is where Express or Connect mounted the handler, or `/`.
 * @throws the system's error when the target does not exist
 */
export function cgi(target: string, options: CgiHandlerOptions = {}): CgiHandler {
  const absolute = resolve(target)
  const program = !statSync(absolute).isDirectory()
  let ready: Promise<{ site: Site; gateway: CgiGateway }> | undefined
  let closed = false

  const prepare = async (prefix: string): Promise<{ site: Site; gateway: CgiGateway }> => {
    const choice = await chooseSpawner(process.env)
    const gateway = makeGateway(absolute, program, prefix, options, choice)
    return { site: makeSite(gateway, prefix, options, () => closed), gateway }
  }

  const handle = async (
    req: IncomingMessage & MountedRequest,
    res: ServerResponse,
    next: (() => void) | undefined,
  ): Promise<void> => {
    const base = typeof req.baseUrl === 'string' ? req.baseUrl : ''
    ready ??= prepare(withSlashes(options.path ?? base))
    const { site } = await ready
    const url = typeof req.originalUrl === 'string' ? req.originalUrl : (req.url ?? '')
    exchange(site, req, res, { waits: false, url, next }, () => {})
  }

  const handler = (
    req: IncomingMessage,
    res: ServerResponse,
    next?: (e?: unknown) => void,
  ): void => {
    handle(req, res, next && (() => pass(next))).catch((error: unknown) => {
      // Only the preparation can fail, a spawner that was forced and is not there for example.
      ready = undefined
      if (next !== undefined) next(error)
      else res.destroy()
    })
  }
  return Object.assign(handler, {
    close: async () => {
      closed = true
      await (await ready)?.gateway.close()
    },
  })
}

function makeGateway(
  target: string,
  program: boolean,
  path: string,
  options: CgiHandlerOptions,
  { spawner }: Choice,
): CgiGateway {
  const { root, serverName, log = silentLogger } = options
  const interpreters = resolveInterpreters(options)
  return new CgiGateway({
    route: { ...defaultCgiRoute, ...options, interpreters, kind: 'cgi', path, target, program },
    documentRoot: fromText(root === undefined ? target : resolve(root)),
    serverName,
    serverSoftware,
    clientBodyMs: defaultConfig.timeouts.bodyMs,
    spawner,
    log,
    hostEnvironment: process.env,
  })
}

function makeSite(
  gateway: CgiGateway,
  path: string,
  options: CgiHandlerOptions,
  draining: () => boolean,
): Site {
  const { access, log = silentLogger, dev = false, encodedSlash = 'reject' } = options
  const mount: Mount = { path, gateway, encodedSlash }
  return {
    router: createRouter([mount]),
    files: undefined,
    sender: createSender(),
    limits: options.serverLimits ?? defaultConfig.limits,
    dev,
    log,
    access: (entry: AccessEntry) => access?.(formatCombined(entry)),
    nextId: createRequestIds(),
    draining,
  }
}

/** To what comes behind the handler; what that throws is the framework's to see. */
function pass(next: (error?: unknown) => void): void {
  try {
    next()
  } catch (error) {
    next(error)
  }
}

function withSlashes(path: string): string {
  return `/${path}/`.replace(/\/+/g, '/')
}

/** Bare names are looked up on the PATH of programs, as in a config file: never in the script's folder. */
function resolveInterpreters(options: CgiHandlerOptions): Record<string, string> {
  const { interpreters = {}, env = defaultCgiRoute.env } = options
  const searchPath = searchPathOf(env, process.env)
  const resolved: Record<string, string> = {}
  for (const [suffix, name] of Object.entries(interpreters)) {
    const file = name.includes('/') ? resolve(name) : findProgram(name, searchPath)
    if (file === undefined) throw new Error(`the interpreter ${name} for ${suffix} is not on PATH`)
    resolved[suffix] = file
  }
  return resolved
}
