/**
 * A fastcgi route of a configuration: from its shape to the complete settings.
 *
 * Here is what needs two settings at once: what belongs to files is refused without a folder of files.
 * The workers are `config-workers.ts`.
 */
import { type BackendTimeouts, defaultFastCgiRoute, type FastCgiRoute } from './config.js'
import { readAddresses } from './config-addresses.js'
import type { SettingPath } from './config-error.js'
import { type ConfigSurroundings, readFolder } from './config-paths.js'
import {
  type RouteDefaults,
  readBackendTimeouts,
  readProgramRoute,
} from './config-program-route.js'
import type { RawFastCgiRoute } from './config-schema-fastcgi.js'
import { readWorkers } from './config-workers.js'

/**
 * The route, complete.
 * @throws ConfigError for the first setting that is wrong
 */
export function readFastCgiRoute(
  surroundings: ConfigSurroundings,
  place: SettingPath,
  path: string,
  raw: RawFastCgiRoute,
  defaults: RouteDefaults,
): FastCgiRoute {
  const standard = defaultFastCgiRoute
  const common = readProgramRoute(surroundings, place, path, raw, defaults)
  const timeouts = readBackendTimeouts(raw.timeouts)
  refuseWithoutFiles(surroundings, place, raw)
  return {
    kind: 'fastcgi',
    ...common,
    backend: readBackend(surroundings, [...place, 'fastcgi'], raw.fastcgi, common.env, timeouts),
    capacity: raw.capacity ?? standard.capacity,
    probe: raw.probe ?? standard.probe,
    sendAbort: raw.abort ?? standard.sendAbort,
    role: raw.role ?? standard.role,
    root:
      raw.root === undefined
        ? standard.root
        : readFolder(surroundings, [...place, 'root'], raw.root),
    index: raw.index ?? standard.index,
    split: raw.split ?? standard.split,
    localRedirects: raw.localRedirects ?? standard.localRedirects,
    timeouts,
    statusBreaksOff: standard.statusBreaksOff,
    trace: raw.trace ?? standard.trace,
  }
}

function readBackend(
  surroundings: ConfigSurroundings,
  place: SettingPath,
  raw: RawFastCgiRoute['fastcgi'],
  env: FastCgiRoute['env'],
  { graceMs }: BackendTimeouts,
): FastCgiRoute['backend'] {
  if ('command' in raw) {
    return { kind: 'workers', workers: readWorkers(surroundings, place, raw, { env, graceMs }) }
  }
  return { kind: 'addresses', addresses: readAddresses(surroundings, place, raw) }
}

/** Without a folder of files the application has the whole prefix: these settings would do nothing. */
function refuseWithoutFiles(
  { document }: ConfigSurroundings,
  place: SettingPath,
  raw: RawFastCgiRoute,
): void {
  if (raw.root !== undefined) return
  const remedy = 'add root: with the folder of the files, or remove it'
  if (raw.split !== undefined) {
    document.failAtKey([...place, 'split'], 'a route without root has no files to split', remedy)
  }
  if (raw.index !== undefined) {
    document.failAtKey([...place, 'index'], 'a route without root has no files', remedy)
  }
  if (raw.role === 'filter') {
    document.fail([...place, 'role'], 'a filter needs files, and the route has no root', remedy)
  }
}
