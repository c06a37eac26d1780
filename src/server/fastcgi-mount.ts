/**
 * A fastcgi route put together: who answers (upstreams), who keeps them alive (supervisor), the gateway.
 *
 * Loaded only when a configuration has such a route: the start of a server without one stays as short as
 * it was. What lives here ends with `close` of the gateway that is given back: requests first, then the
 * workers.
 */
import { fromText } from '../byte-string.js'
import { FastCgiGateway } from '../fastcgi/gateway.js'
import { createFileFinder } from '../fastcgi/script-file.js'
import type { Gateway } from '../gateway.js'
import type { Logger } from '../log.js'
import type { Spawner } from '../process/spawner.js'
import { Upstreams, type UpstreamsOptions } from '../upstream/upstreams.js'
import { serverSoftware } from '../version.js'
import { Supervisor } from '../worker/supervisor.js'
import { WorkersFailed } from '../worker/workers-failed.js'
import { type Config, defaultCapacity, type FastCgiRoute, type WorkersConfig } from './config.js'
import type { WorkerGroup } from './mounts.js'
import { StartFailure } from './start-failure.js'
import { workerReady } from './worker-ready.js'

/** A worker serves one request at a time unless the route knows better. */
const workerCapacity = 1

interface Programs {
  readonly spawner: Spawner
  readonly log: Logger
}

/** The gateway of a route and, where the programs are ours, its workers. Nothing is started yet. */
export function createFastCgiMount(
  route: FastCgiRoute,
  config: Config,
  programs: Programs,
): { readonly gateway: Gateway; readonly workers?: WorkerGroup } {
  const { backend } = route
  let supervisor: Supervisor | undefined
  const upstreams = new Upstreams({
    queue: route.queue,
    supplied: backend.kind === 'workers',
    onWaiting: count => supervisor?.wanted(count),
    onHealth: healthLog(route.path, programs.log),
  })
  const gateway = createGateway(route, config, upstreams, programs.log)
  if (backend.kind === 'addresses') {
    const capacity = route.capacity ?? defaultCapacity
    for (const address of backend.addresses) upstreams.add({ address, capacity })
    return { gateway }
  }
  const workers = config.dev ? backend.workers : { ...backend.workers, watch: [] }
  supervisor = createSupervisor(workers, route.capacity ?? workerCapacity, upstreams, programs)
  return {
    gateway: endingWith(gateway, supervisor),
    workers: groupOf(route.path, supervisor),
  }
}

function createGateway(
  route: FastCgiRoute,
  config: Config,
  upstreams: Upstreams,
  log: Logger,
): Gateway {
  const { path, root, index, split } = route
  const documentRoot = root ?? config.root
  return new FastCgiGateway({
    route,
    upstreams,
    workers: route.backend.kind === 'workers',
    files: root === undefined ? undefined : createFileFinder({ path, root, index, split }),
    documentRoot: documentRoot === undefined ? undefined : fromText(documentRoot),
    serverName: config.serverName,
    serverSoftware,
    clientBodyMs: config.timeouts.bodyMs,
    log,
  })
}

function createSupervisor(
  config: WorkersConfig,
  capacity: number,
  upstreams: Upstreams,
  { spawner, log }: Programs,
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

/** Requests first, then the workers that answer them. */
function endingWith(gateway: Gateway, supervisor: Supervisor): Gateway {
  return {
    send: request => gateway.send(request),
    close: async () => {
      await gateway.close()
      await supervisor.close()
    },
    kill: () => {
      gateway.kill()
      supervisor.kill()
    },
  }
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

/** A program that is left out, and that is back, has a line each. */
function healthLog(route: string, log: Logger): NonNullable<UpstreamsOptions['onHealth']> {
  return (upstream, state, forMs) => {
    const fields = { route, upstream: upstream.name }
    if (state === 'back') log.info(fields, 'the program answers again')
    else log.warn({ ...fields, forMs }, 'the program does not answer and is left out for a while')
  }
}
