/**
 * A wsgi route put together: the host of `src/wsgi/` as FastCGI workers, or as a CGI program, fresh or warm,
 * for each request.
 *
 * Loaded only when a configuration has such a route: the start of a server without stays as short as it was.
 */
import type { Gateway } from '../gateway.js'
import { cgiVariables, hostProgram, workerCommand } from '../wsgi/host.js'
import { createCgiGateway } from './cgi-mount.js'
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
  if (route.mode !== 'workers') {
    const program = cgiRouteOf(route, config.dev)
    return { gateway: createCgiGateway(program, route.directory, config, dependencies) }
  }
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
