/**
 * A scgi route put together.
 *
 * Loaded only when a configuration has such a route: the start of a server without stays as short as it was.
 */
import { GatewayError } from '../errors.js'
import type { Gateway } from '../gateway.js'
import type { Config, ScgiRouteConfig } from './config.js'
import type { MountDependencies, WorkerGroup } from './mounts.js'

/** The gateway of a route; nothing is started yet. */
export function createScgiMount(
  route: ScgiRouteConfig,
  _config: Config,
  _dependencies: MountDependencies,
): { readonly gateway: Gateway; readonly workers?: WorkerGroup } {
  throw new GatewayError('INTERNAL', `scgi routes are being built: ${route.path}`)
}
