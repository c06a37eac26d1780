/**
 * What a wsgi route needs to know: types and defaults, complete and read-only.
 *
 * `server/config-wsgi.ts` fills it from `postern.yaml`. A setting must have a user today.
 */
import {
  type BackendTimeouts,
  defaultBackendTimeouts,
  defaultProgramRoute,
  type ProgramRouteConfig,
} from '../cgi/options.js'
import type { WorkersConfig } from '../worker/options.js'

/** A Python application (PEP 3333) in workers of our own. */
export interface WsgiRouteConfig extends ProgramRouteConfig {
  readonly kind: 'wsgi'
  /** `module:callable`. */
  readonly application: string
  /** Absolute; the working directory, first on `sys.path`. */
  readonly directory: string
  /** Absolute path of the interpreter. */
  readonly python: string
  /** The application in workers that stay, or a process for each request, fresh or from a warm interpreter. */
  readonly mode: 'workers' | 'cgi' | 'warm'
  /** Requests at once in one worker. */
  readonly threads: number
  /** Everything of the workers; `command` starts the host. In the other modes `count.max` processes at once. */
  readonly workers: WorkersConfig
  /** wsgi.multiprocess: several processes have the application at the same time. */
  readonly multiprocess: boolean
  readonly timeouts: BackendTimeouts
}

/** A wsgi route with every default that does not depend on the machine. */
export const defaultWsgiRoute: Omit<
  WsgiRouteConfig,
  'path' | 'application' | 'directory' | 'python' | 'workers' | 'multiprocess'
> = {
  ...defaultProgramRoute,
  kind: 'wsgi',
  // B-19: WSGI applications check passwords themselves.
  passAuthorization: true,
  mode: 'workers',
  threads: 1,
  timeouts: defaultBackendTimeouts,
}
