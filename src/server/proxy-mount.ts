/**
 * A proxy route put together: the servers that answer, and the gateway that asks them.
 *
 * Loaded only when a configuration has such a route: the start of a server without stays as short as it was.
 */
import type { Gateway } from '../gateway.js'
import { ProxyGateway } from '../proxy/gateway.js'
import type { Config, ProxyRouteConfig } from './config.js'
import type { MountDependencies } from './mount.js'
import { atAddresses } from './upstreams-at.js'

/** The gateway of a route. */
export function createProxyMount(
  route: ProxyRouteConfig,
  config: Config,
  { log }: MountDependencies,
): { readonly gateway: Gateway; readonly upgrades: true } {
  const upstreams = atAddresses(route, route.addresses, log)
  const clientBodyMs = config.timeouts.bodyMs
  return { gateway: new ProxyGateway({ route, upstreams, clientBodyMs, log }), upgrades: true }
}
