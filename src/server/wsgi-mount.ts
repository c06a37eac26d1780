/**
 * A wsgi route put together: the host of `src/wsgi/` as FastCGI workers, or as a CGI program, fresh or warm,
 * for each request.
 *
 * Loaded only when a configuration has such a route: the start of a server without stays as short as it was.
 */
import { fromText } from '../byte-string.js'
import { CgiGateway } from '../cgi/gateway.js'
import type { Gateway } from '../gateway.js'
import { serverSoftware } from '../version.js'
import { cgiVariables, hostProgram, workerCommand } from '../wsgi/host.js'
import {
  type CgiRouteConfig,
  type Config,
  defaultCgiRoute,
  defaultFastCgiRoute,
  type WsgiRouteConfig,
} from './config.js'
import { createFastCgiMount } from './fastcgi-mount.js'
import type { MountDependencies, WorkerGroup } from './mount.js'

/** The gateway of a route and, in the mode `workers`, its workers; nothing is started yet. */
export function createWsgiMount(
  route: WsgiRouteConfig,
  config: Config,
  dependencies: MountDependencies,
): { readonly gateway: Gateway; readonly workers?: WorkerGroup } {
  if (route.mode !== 'workers') return { gateway: createCgiGateway(route, config, dependencies) }
  const { threads, workers: given } = route
  const workers = { ...given, command: workerCommand(route, config.dev) }
  const backend = { kind: 'workers', workers } as const
  const settings = { ...defaultFastCgiRoute, ...route, kind: 'fastcgi' } as const
  return createFastCgiMount(
    { ...settings, backend, capacity: threads, statusBreaksOff: true },
    config,
    dependencies,
  )
}

function createCgiGateway(
  route: WsgiRouteConfig,
  config: Config,
  { spawner, log, environment }: MountDependencies,
): Gateway {
  return new CgiGateway({
    route: cgiRouteOf(route, config.dev),
    documentRoot: fromText(config.root ?? route.directory),
    serverName: config.serverName,
    serverSoftware,
    clientBodyMs: config.timeouts.bodyMs,
    spawner,
    log,
    hostEnvironment: environment,
  })
}

function cgiRouteOf(route: WsgiRouteConfig, dev: boolean): CgiRouteConfig {
  const { env, workers, python } = route
  return {
    ...defaultCgiRoute,
    ...route,
    kind: 'cgi',
    target: hostProgram,
    program: true,
    interpreters: { '.py': python },
    processes: workers.count.max,
    warm: route.mode === 'warm',
    env: { ...env, set: { ...env.set, ...cgiVariables(route, dev) } },
  }
}
