/**
 * From the config to what answers: the only place that knows which kinds of routes there are.
 *
 * A new kind is a new case of the switch; what only some configurations need is imported there. What is
 * made here lives until `close`.
 */
import { dirname } from 'node:path'
import { createStaticFiles, type StaticFiles } from '../static/files.js'
import { createCgiGateway } from './cgi-mount.js'
import type { CgiRouteConfig, Config, RouteConfig } from './config.js'
import type { Mount, MountDependencies } from './mount.js'

/** The gateways of a config, in its order; no worker is started yet. */
export async function createMounts(
  config: Config,
  dependencies: MountDependencies,
): Promise<Mount[]> {
  return await Promise.all(
    config.routes.map(async route => {
      const { path, encodedSlash, authorize } = route
      const { gateway: inner, ...workers } = await createGateway(route, config, dependencies)
      if (authorize === undefined) return { path, encodedSlash, gateway: inner, ...workers }
      const { createAuthorized } = await import('./fastcgi-mount.js')
      const gateway = createAuthorized(inner, route, authorize, config, dependencies)
      return { path, encodedSlash, gateway, ...workers }
    }),
  )
}

/**
 * Starts the workers of all routes at once; settles when all are ready.
 * @throws StartFailure of the first that fails, or the reason of the signal; what had been started is gone
 * then
 */
export async function startWorkers(
  mounts: readonly Mount[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const kill = (): void => {
    for (const { gateway } of mounts) gateway.kill()
  }
  signal?.addEventListener('abort', kill, { once: true })
  try {
    signal?.throwIfAborted()
    await Promise.all(mounts.map(({ workers }) => workers?.start()))
    signal?.throwIfAborted()
  } catch (error) {
    kill()
    await Promise.all(mounts.map(({ gateway }) => gateway.close()))
    throw signal?.aborted === true ? signal.reason : error
  } finally {
    signal?.removeEventListener('abort', kill)
  }
}

function createGateway(
  route: RouteConfig,
  config: Config,
  dependencies: MountDependencies,
): Promise<Pick<Mount, 'gateway' | 'workers' | 'upgrades'>> | Pick<Mount, 'gateway'> {
  switch (route.kind) {
    case 'cgi':
      return { gateway: createCgiGateway(route, folderOf(route), config, dependencies) }
    case 'fastcgi':
      return import('./fastcgi-mount.js').then(({ createFastCgiMount }) =>
        createFastCgiMount(route, config, dependencies),
      )
    case 'scgi':
      return import('./scgi-mount.js').then(({ createScgiMount }) =>
        createScgiMount(route, config, dependencies),
      )
    case 'uwsgi':
      return import('./uwsgi-mount.js').then(({ createUwsgiMount }) =>
        createUwsgiMount(route, config, dependencies),
      )
    case 'wsgi':
      return import('./wsgi-mount.js').then(({ createWsgiMount }) =>
        createWsgiMount(route, config, dependencies),
      )
    case 'proxy':
      return import('./proxy-mount.js').then(({ createProxyMount }) =>
        createProxyMount(route, config, dependencies),
      )
    default:
      return route satisfies never
  }
}

function folderOf({ program, target }: CgiRouteConfig): string {
  return program ? dirname(target) : target
}

/** Sends files that a gateway has allowed; knows no root. */
export function createSender(): Pick<StaticFiles, 'sendFile'> {
  return createStaticFiles({ root: '/', index: [], hiddenDirectories: [], hiddenFiles: [] })
}

/** The static files of a config, or undefined without a root; never a program's source. */
export function createFiles(config: Config): StaticFiles | undefined {
  if (config.root === undefined) return undefined
  return createStaticFiles({
    root: config.root,
    index: config.index,
    hiddenDirectories: config.routes.flatMap(route => (route.kind === 'cgi' ? [route.target] : [])),
    hiddenFiles: config.hidden,
    hiddenSources: config.routes.flatMap(sourcesOf),
  })
}

/** L-12: what a route runs by its suffix is never sent, under whatever URL. */
function sourcesOf(route: RouteConfig) {
  if (route.kind === 'wsgi') return [{ directory: route.directory, suffix: '.py' }]
  if (route.kind !== 'fastcgi' || route.root === undefined || route.split === undefined) return []
  return [{ directory: route.root, suffix: route.split }]
}
