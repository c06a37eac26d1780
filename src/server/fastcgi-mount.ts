/**
 * A fastcgi route put together: who answers (upstreams), who keeps them alive (supervisor), the gateway.
 *
 * Loaded only when a configuration speaks FastCGI: the start of a server without stays as short as it was.
 * What lives here ends with `close` of the gateway that is given back: requests first, then the workers.
 */
import { fromText } from '../byte-string.js'
import { AuthorizedGateway, authorizerRoute, GatewayAuthorizer } from '../fastcgi/authorizer.js'
import { FastCgiGateway, type GatewayWorkers } from '../fastcgi/gateway.js'
import type { FastCgiRouteConfig } from '../fastcgi/options.js'
import type { Role } from '../fastcgi/record.js'
import { createFileFinder } from '../fastcgi/script-file.js'
import type { Gateway } from '../gateway.js'
import type { Address } from '../upstream/address.js'
import { Upstreams } from '../upstream/upstreams.js'
import { serverSoftware } from '../version.js'
import { Supervisor } from '../worker/supervisor.js'
import { WorkersFailed } from '../worker/workers-failed.js'
import type { Config, FastCgiRoute, RouteConfig, WorkersConfig } from './config.js'
import type { MountDependencies, WorkerGroup } from './mount.js'
import { StartFailure } from './start-failure.js'
import { atAddresses, healthLog } from './upstreams-at.js'
import { workerReady } from './worker-ready.js'

/** A worker serves one request at a time unless the route or the worker says more. */
const workerCapacity = 1

/** The gateway of a route and, where the programs are ours, its workers. Nothing is started yet. */
export function createFastCgiMount(
  route: FastCgiRoute,
  config: Config,
  dependencies: MountDependencies,
): { readonly gateway: Gateway; readonly workers?: WorkerGroup } {
  const { backend } = route
  if (backend.kind === 'addresses') {
    const upstreams = atAddresses(route, backend.addresses, dependencies.log)
    return { gateway: createGateway(route, config, dependencies, { upstreams }) }
  }
  let supervisor: Supervisor | undefined
  const upstreams = new Upstreams({
    queue: route.queue,
    supplied: true,
    onWaiting: count => supervisor?.wanted(count),
    onHealth: healthLog(route.path, dependencies.log),
  })
  const workers = config.dev ? backend.workers : { ...backend.workers, watch: [] }
  supervisor = createSupervisor(workers, route.capacity ?? workerCapacity, upstreams, dependencies)
  return {
    gateway: createGateway(route, config, dependencies, { upstreams, workers: supervisor }),
    workers: groupOf(route.path, supervisor),
  }
}

/** The gateway of a route, behind the authorizer at `address` (FastCGI §6.3). */
export function createAuthorized(
  inner: Gateway,
  route: RouteConfig,
  address: Address,
  config: Config,
  dependencies: MountDependencies,
): Gateway {
  const asked = authorizerRoute(route, address)
  const upstreams = atAddresses(asked, [address], dependencies.log)
  const role = 'authorizer'
  const gateway = createGateway(asked, config, dependencies, { upstreams, role })
  return new AuthorizedGateway({ inner, authorizer: new GatewayAuthorizer(gateway) })
}

interface Behind {
  readonly upstreams: Upstreams
  readonly workers?: GatewayWorkers
  readonly role?: Role
}

function createGateway(
  route: FastCgiRouteConfig,
  config: Config,
  { log, environment }: MountDependencies,
  behind: Behind,
): Gateway {
  const { path, root, index, split } = route
  const documentRoot = root ?? config.root
  return new FastCgiGateway({
    ...behind,
    route,
    files: root === undefined ? undefined : createFileFinder({ path, root, index, split }),
    documentRoot: documentRoot === undefined ? undefined : fromText(documentRoot),
    serverName: config.serverName,
    serverSoftware,
    clientBodyMs: config.timeouts.bodyMs,
    log,
    hostEnvironment: environment,
  })
}

function createSupervisor(
  config: WorkersConfig,
  capacity: number,
  upstreams: Upstreams,
  { spawner, log }: MountDependencies,
): Supervisor {
  return new Supervisor({
    config,
    listen: { kind: 'own' },
    capacity,
    upstreams,
    spawner,
    log,
    ready: workerReady,
  })
}

function groupOf(path: string, supervisor: Supervisor): WorkerGroup {
  return {
    start: async () => {
      try {
        await supervisor.start()
      } catch (error) {
        if (!(error instanceof WorkersFailed)) throw error
        throw new StartFailure(`${path}: ${error.message}`, { cause: error })
      }
    },
    reload: () => supervisor.reload(),
  }
}
