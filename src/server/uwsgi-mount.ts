/**
 * A uwsgi route put together.
 *
 * Loaded only when a configuration has such a route: the start of a server without stays as short as it was.
 */
import type { Gateway } from '../gateway.js'
import { createUwsgiGateway } from '../uwsgi/gateway.js'
import type { Config, UwsgiRouteConfig } from './config.js'
import type { MountDependencies } from './mount.js'
import { socketGatewayOptions } from './socket-gateway-options.js'

/** The gateway of a route; nothing is started yet. */
export function createUwsgiMount(
  route: UwsgiRouteConfig,
  config: Config,
  dependencies: MountDependencies,
): { readonly gateway: Gateway } {
  return { gateway: createUwsgiGateway(socketGatewayOptions(route, config, dependencies)) }
}
