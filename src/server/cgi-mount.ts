/**
 * A gateway that runs CGI programs, put together from a configuration: for cgi routes, and for the modes of
 * other kinds that have a process for each request.
 *
 * Loaded at every start: `cgi` is what most servers are for.
 */
import { fromText } from '../byte-string.js'
import { CgiGateway } from '../cgi/gateway.js'
import type { Gateway } from '../gateway.js'
import { serverSoftware } from '../version.js'
import type { CgiRouteConfig, Config } from './config.js'
import type { MountDependencies } from './mount.js'

/** The gateway of a route. `folder`: absolute; DOCUMENT_ROOT where the config has no root. */
export function createCgiGateway(
  route: CgiRouteConfig,
  folder: string,
  config: Config,
  { spawner, log, environment }: MountDependencies,
): Gateway {
  return new CgiGateway({
    route,
    documentRoot: fromText(config.root ?? folder),
    serverName: config.serverName,
    serverSoftware,
    clientBodyMs: config.timeouts.bodyMs,
    spawner,
    log,
    hostEnvironment: environment,
  })
}
