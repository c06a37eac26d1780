/**
 * One configuration shared out among several server processes.
 *
 * Each gets its part of what is counted (programs at once, requests that wait), so that the sum is what
 * the configuration says and not a multiple of it. Pure.
 */
import type { Config, RouteConfig } from './config.js'

/**
 * The part of process `index` (0 to `parts` - 1). A count below `parts` is rounded up to 1 for each: a
 * process without a place could answer nothing. A queue of 0 stays 0.
 */
export function divideConfig(config: Config, parts: number, index: number): Config {
  return {
    ...config,
    processes: 1,
    routes: config.routes.map(route => divideRoute(route, parts, index)),
  }
}

function divideRoute(route: RouteConfig, parts: number, index: number): RouteConfig {
  return {
    ...route,
    processes: share(route.processes, parts, index),
    queue: { ...route.queue, length: share(route.queue.length, parts, index) },
  }
}

/** The first processes take one more when the total does not divide. */
function share(total: number, parts: number, index: number): number {
  if (total === 0) return 0
  const part = Math.floor(total / parts) + (index < total % parts ? 1 : 0)
  return Math.max(1, part)
}
