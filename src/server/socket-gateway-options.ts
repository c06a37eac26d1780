/**
 * What scgi and uwsgi routes have in common when they are put together: programs that run already, at
 * addresses, with a connection for each request.
 *
 * Loaded only when a configuration has such a route.
 */
import type { SocketGatewayOptions, SocketRouteConfig } from '../backend/over-socket.js'
import { fromText } from '../byte-string.js'
import { serverSoftware } from '../version.js'
import type { Config } from './config.js'
import type { MountDependencies } from './mount.js'
import { atAddresses } from './upstreams-at.js'

/** For the gateway of the route's protocol. */
export function socketGatewayOptions<Route extends SocketRouteConfig>(
  route: Route,
  config: Config,
  { log, environment }: MountDependencies,
): SocketGatewayOptions<Route> {
  return {
    route,
    upstreams: atAddresses(route, route.addresses, log),
    documentRoot: config.root === undefined ? undefined : fromText(config.root),
    serverName: config.serverName,
    serverSoftware,
    clientBodyMs: config.timeouts.bodyMs,
    log,
    hostEnvironment: environment,
  }
}
