/**
 * Workers of our own in a configuration: the command found, the numbers made to fit one another.
 *
 * Knows no protocol: every kind of route that starts workers may ask here. Their environment is made once,
 * now, as programs of the route have it but for the variables of a request.
 */
import { resolve } from 'node:path'
import { createEnvironment } from '../cgi/environment.js'
import { defaultWorkers, type EnvConfig, type WorkersConfig } from './config.js'
import type { SettingPath } from './config-error.js'
import { type ConfigSurroundings, kindOfFile, readFolder, readProgram } from './config-paths.js'
import type { RawWorkers } from './config-schema-fastcgi.js'

/** What the route says of its workers beside their own settings. */
export interface WorkersSurroundings {
  readonly env: EnvConfig
  /** From TERM to KILL. */
  readonly graceMs: number
}

type WorkerCount = WorkersConfig['count']

/**
 * The workers of a route, complete.
 * @param place of the map with the command
 * @throws ConfigError for the first setting that is wrong
 */
export function readWorkers(
  surroundings: ConfigSurroundings,
  place: SettingPath,
  raw: RawWorkers,
  { env, graceMs }: WorkersSurroundings,
): WorkersConfig {
  const standard = defaultWorkers
  const [name = '', ...further] = raw.command
  const command = [readProgram(surroundings, [...place, 'command', 0], name), ...further]
  const directory =
    raw.directory === undefined
      ? surroundings.directory
      : readFolder(surroundings, [...place, 'directory'], raw.directory)
  return {
    command,
    directory,
    env: createEnvironment(env, surroundings.environment)(new Map()),
    count: readCount(surroundings, [...place, 'workers'], raw.workers),
    recycling: {
      requests: raw.recycle?.requests ?? standard.recycling.requests,
      ageMs: raw.recycle?.age ?? standard.recycling.ageMs,
      memoryBytes: raw.recycle?.memory ?? standard.recycling.memoryBytes,
    },
    readyMs: raw.ready ?? standard.readyMs,
    graceMs,
    stuckSignal: raw.stuck?.signal ?? standard.stuckSignal,
    stuckDumpMs: raw.stuck?.dump ?? standard.stuckDumpMs,
    watch: [...filesOfCommand(command, directory), directory],
  }
}

/** The files that a command names: its program, and arguments that are files. */
export function filesOfCommand(
  [program = '', ...further]: readonly string[],
  directory: string,
): string[] {
  const named = further.map(word => resolve(directory, word))
  return [program, ...named.filter(file => kindOfFile(file) === 'file')]
}

function readCount(
  { document }: ConfigSurroundings,
  place: SettingPath,
  raw: RawWorkers['workers'],
): WorkerCount {
  const standard = defaultWorkers.count
  if (raw === undefined) return standard
  if (typeof raw === 'number') return { ...standard, min: raw, max: raw }
  const count: WorkerCount = {
    min: raw.min ?? Math.min(1, raw.max),
    max: raw.max,
    spare: raw.spare ?? standard.spare,
    idleMs: raw.idle ?? standard.idleMs,
  }
  for (const name of ['min', 'spare'] as const) {
    if (count[name] <= count.max) continue
    document.fail(
      [...place, name],
      `${name} is ${count[name]}, more than max, which is ${count.max}`,
      `write at most ${count.max}, or raise max`,
    )
  }
  return count
}
