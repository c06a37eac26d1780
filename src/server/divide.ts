/**
 * One configuration shared out among several server processes.
 *
 * Each gets its part of what is counted (programs at once, workers, requests at an address, requests that
 * wait), so that the sum is what the configuration says and not a multiple of it. Pure.
 */
import {
  type Config,
  defaultCapacity,
  type FastCgiRoute,
  type RouteConfig,
  type WorkersConfig,
} from './config.js'

/**
 * The part of process `index` (0 to `parts` - 1). A count below `parts` is rounded up to 1 for each: a
 * process without a place could answer nothing. A count of 0 stays 0.
 */
export function divideConfig(config: Config, parts: number, index: number): Config {
  return {
    ...config,
    processes: 1,
    routes: config.routes.map(route => divideRoute(route, total => share(total, parts, index))),
  }
}

type Share = (total: number) => number

function divideRoute(route: RouteConfig, part: Share): RouteConfig {
  const queue = { ...route.queue, length: part(route.queue.length) }
  switch (route.kind) {
    case 'cgi':
      return { ...route, queue, processes: part(route.processes) }
    case 'fastcgi':
      return { ...route, queue, ...divideBackend(route, part) }
    case 'scgi':
    case 'uwsgi':
    case 'proxy':
      return { ...route, queue, capacity: part(route.capacity) }
    case 'wsgi':
      // Each process has one at least.
      return { ...route, queue, workers: divideWorkers(route.workers, part), multiprocess: true }
    default:
      return route satisfies never
  }
}

/** An address is shared by all processes; a worker belongs to one of them, with its whole capacity. */
function divideBackend(
  { backend, capacity, probe }: FastCgiRoute,
  part: Share,
): Pick<FastCgiRoute, 'backend' | 'capacity'> {
  if (backend.kind === 'addresses') {
    // What a probe says is known only later, to each process alone.
    if (capacity === undefined && probe) return { backend, capacity }
    return { backend, capacity: part(capacity ?? defaultCapacity) }
  }
  return { capacity, backend: { ...backend, workers: divideWorkers(backend.workers, part) } }
}

function divideWorkers(workers: WorkersConfig, part: Share): WorkersConfig {
  const { min, max, spare, idleMs } = workers.count
  return { ...workers, count: { min: part(min), max: part(max), spare: part(spare), idleMs } }
}

/** The first processes take one more when the total does not divide. */
function share(total: number, parts: number, index: number): number {
  if (total === 0) return 0
  const part = Math.floor(total / parts) + (index < total % parts ? 1 : 0)
  return Math.max(1, part)
}
