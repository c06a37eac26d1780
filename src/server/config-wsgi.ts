/**
 * A wsgi route of a configuration: from its shape to the complete settings.
 *
 * The interpreter is found now, and the workers' command made; their environment is that of every worker.
 */
import { join, resolve } from 'node:path'
import { defaultWsgiWorkers, stackDumpSignal, workerCommand } from '../wsgi/host.js'
import { defaultWsgiRoute, type WsgiRouteConfig } from './config.js'
import type { SettingPath } from './config-error.js'
import { type ConfigSurroundings, kindOfFile, readFolder, readInterpreter } from './config-paths.js'
import {
  type RouteDefaults,
  readBackendTimeouts,
  readProgramRoute,
} from './config-program-route.js'
import type { RawWsgiRoute } from './config-schema.js'
import type { RawWorkers } from './config-schema-fastcgi.js'
import { readWorkers } from './config-workers.js'

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
  refuseForMode(surroundings, place, raw)
  const common = readProgramRoute(surroundings, place, path, raw, defaults, standard)
  const timeouts = readBackendTimeouts(raw.timeouts)
  const directory =
    raw.directory === undefined
      ? surroundings.directory
      : readFolder(surroundings, [...place, 'directory'], raw.directory)
  const python = readPython(surroundings, [...place, 'python'], raw.python ?? 'python3')
  const program = {
    application: raw.wsgi,
    python,
    threads: raw.threads ?? standard.threads,
    multiprocess: true,
  }
  const { workers = defaultWsgiWorkers, recycle, ready, stuck } = raw
  const settings = {
    command: [...workerCommand(program, false)],
    directory,
    workers,
    recycle,
    ready,
    stuck: stuck ?? { signal: stackDumpSignal },
  } satisfies RawWorkers
  const complete = readWorkers(surroundings, place, settings, {
    env: common.env,
    graceMs: timeouts.graceMs,
  })
  return {
    kind: 'wsgi',
    ...common,
    ...program,
    directory,
    mode: raw.mode ?? standard.mode,
    workers: complete,
    multiprocess: complete.count.max > 1,
    timeouts,
  }
}

/** An interpreter, or the folder of a virtual environment. */
function readPython(surroundings: ConfigSurroundings, place: SettingPath, given: string): string {
  const folder = resolve(surroundings.directory, given)
  if (kindOfFile(folder) !== 'directory') return readInterpreter(surroundings, place, given)
  return readInterpreter(surroundings, place, join(folder, 'bin/python'))
}

function refuseForMode(
  { document }: ConfigSurroundings,
  place: SettingPath,
  { mode = 'workers', ...raw }: RawWsgiRoute,
): void {
  if (mode === 'workers') return
  for (const name of ['threads', 'recycle', 'ready', 'stuck'] as const) {
    if (raw[name] === undefined) continue
    const problem = `the mode ${mode} has a process for each request, and no workers that stay`
    document.failAtKey([...place, name], problem, 'remove it, or write mode: workers')
  }
}
