/**
 * What a running server needs to know: types and defaults, complete and read-only.
 *
 * Times end in `Ms`, sizes in `Bytes`; nobody writes `?? 10` later. `config-file.ts` makes a Config from
 * `postern.yaml` and names the place of each mistake; the CLI makes one from flags. A setting must have
 * a user today; settings of one route stay in that route's type.
 */

import type { CgiRouteConfig } from '../cgi/options.js'
import type { FastCgiRouteConfig } from '../fastcgi/options.js'
import type { ProxyRouteConfig } from '../proxy/options.js'
import type { ScgiRouteConfig } from '../scgi/options.js'
import type { UwsgiRouteConfig } from '../uwsgi/options.js'
import type { WorkersConfig } from '../worker/options.js'
import type { WsgiRouteConfig } from '../wsgi/options.js'

export {
  type AddressRouteConfig,
  type BackendTimeouts,
  type CgiRouteConfig,
  defaultBackendTimeouts,
  defaultCapacity,
  defaultCgiRoute,
  defaultRouteLimits,
  type EnvConfig,
  type ProgramRouteConfig,
  type ProgramTimeouts,
  type QueueConfig,
  type RouteLimits,
} from '../cgi/options.js'
export { defaultFastCgiRoute } from '../fastcgi/options.js'
export { defaultProxyRoute, type ProxyRouteConfig } from '../proxy/options.js'
export { defaultScgiRoute, type ScgiRouteConfig } from '../scgi/options.js'
export { defaultUwsgiRoute, type UwsgiRouteConfig } from '../uwsgi/options.js'
export { defaultWorkers, type WorkersConfig } from '../worker/options.js'
export { defaultWsgiRoute, type WsgiRouteConfig } from '../wsgi/options.js'

/** Workers of ours behind a fastcgi route, or programs that somebody else runs. */
export type FastCgiRoute = FastCgiRouteConfig<WorkersConfig>

/** Where to listen. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export interface LogConfig {
  readonly access: 'combined' | 'json' | 'off'
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent'
}

/** Limits of the HTTP side. */
export interface ServerLimits {
  readonly requestLineBytes: number
  readonly headBytes: number
  /** Number of header fields in a request. */
  readonly headerCount: number
}

/** Time limits on the client. 0: none. */
export interface ClientTimeouts {
  readonly headMs: number
  /** Longest pause while a body is being sent. */
  readonly bodyMs: number
  readonly keepAliveMs: number
  /** How long requests may go on after TERM. */
  readonly drainMs: number
}

/** A union on `kind`. */
export type RouteConfig =
  | CgiRouteConfig
  | FastCgiRoute
  | ScgiRouteConfig
  | UwsgiRouteConfig
  | WsgiRouteConfig
  | ProxyRouteConfig

export interface Config {
  readonly listen: readonly ListenAddress[]
  /** Absolute folder of static files and DOCUMENT_ROOT; undefined: no static files. */
  readonly root: string | undefined
  readonly index: readonly string[]
  readonly serverName: string | undefined
  readonly processes: number
  readonly log: LogConfig
  readonly limits: ServerLimits
  readonly timeouts: ClientTimeouts
  readonly routes: readonly RouteConfig[]
  /** Files that are never served as static: the config file, programs of workers; absolute. */
  readonly hidden: readonly string[]
  /** Clients on loopback see the cause of a failure; workers are replaced when their files change. */
  readonly dev: boolean
}

const KiB = 1024

/** The server's part with every default: no root, no routes. */
export const defaultConfig: Config = {
  listen: [{ kind: 'tcp', host: '127.0.0.1', port: 8000 }],
  root: undefined,
  index: ['index.html'],
  serverName: undefined,
  processes: 1,
  log: { access: 'combined', level: 'info' },
  limits: { requestLineBytes: 8 * KiB, headBytes: 32 * KiB, headerCount: 200 },
  timeouts: { headMs: 30_000, bodyMs: 30_000, keepAliveMs: 65_000, drainMs: 10_000 },
  routes: [],
  hidden: [],
  dev: false,
}
