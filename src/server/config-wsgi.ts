/**
 * A wsgi route of a configuration: from its shape to the complete settings.
 *
 * The interpreter is found now, and the workers' command made; their environment is that of every worker.
 */
import { defaultWsgiRoute, type WsgiRouteConfig } from './config.js'
import type { SettingPath } from './config-error.js'
import { type ConfigSurroundings, readFolder, readInterpreter } from './config-paths.js'
import {
  type RouteDefaults,
  readBackendTimeouts,
  readProgramRoute,
} from './config-program-route.js'
import type { RawWsgiRoute } from './config-schema.js'

/**
 * The route, complete.
 * @throws ConfigError for the first setting that is wrong
 */
export function readWsgiRoute(
  surroundings: ConfigSurroundings,
  place: SettingPath,
  path: string,
  raw: RawWsgiRoute,
  defaults: RouteDefaults,
): WsgiRouteConfig {
  const standard = defaultWsgiRoute
  const common = readProgramRoute(surroundings, place, path, raw, defaults, standard)
  const directory =
    raw.directory === undefined
      ? surroundings.directory
      : readFolder(surroundings, [...place, 'directory'], raw.directory)
  const python = readInterpreter(surroundings, [...place, 'python'], raw.python ?? 'python3')
  void [common, directory, python, readBackendTimeouts]
  return surroundings.document.failAtKey(
    [...place, 'wsgi'],
    'this version of Postern does not run wsgi routes yet',
    'remove it',
  )
}
