/**
 * A wsgi route of a command line: every default, and what the flags say.
 *
 * The route of a configuration file is `config-wsgi.ts`.
 */
import { join, resolve } from 'node:path'
import { createEnvironment } from '../cgi/environment.js'
import { defaultWsgiWorkers, stackDumpSignal, workerCommand } from '../wsgi/host.js'
import { defaultWorkers, defaultWsgiRoute, type WsgiRouteConfig } from './config.js'
import { ConfigError } from './config-error.js'
import { kindOfFile } from './config-paths.js'
import { findProgram, isProgram, searchPathOf } from './search-path.js'

/** What flags say of a WSGI application. */
export interface WsgiProgram {
  /** Begins and ends with `/`. */
  readonly path: string
  /** `module:callable`. */
  readonly application: string
  /** Absolute; the working directory, first on `sys.path`. */
  readonly directory: string
  /** A program, its path, or the folder of a virtual environment; undefined: `python3`. */
  readonly python?: string | undefined
  /** Workers; default 2. */
  readonly workers?: number | undefined
  /** Requests at once in each; default 1. */
  readonly threads?: number | undefined
}

/** `app:application`, `project.wsgi:application`. */
export function isApplication(text: string): boolean {
  return /^[\w.]+:[\w.]+$/.test(text)
}

/**
 * The route, complete.
 * @param environment the server's own, for PATH and for the workers
 * @throws ConfigError when there is no such interpreter
 */
export function wsgiRoute(given: WsgiProgram, environment: NodeJS.ProcessEnv): WsgiRouteConfig {
  const { path, application, directory } = given
  const { workers: count = defaultWsgiWorkers, threads = defaultWsgiRoute.threads } = given
  const { env } = defaultWsgiRoute
  const python = findPython(given.python ?? 'python3', searchPathOf(env, environment))
  const program = { application, python, threads, multiprocess: count > 1 }
  const workers = {
    ...defaultWorkers,
    command: workerCommand(program, false),
    directory,
    env: createEnvironment(env, environment)(new Map()),
    count: { ...defaultWorkers.count, min: count, max: count },
    stuckSignal: stackDumpSignal,
    watch: [directory],
  }
  return { ...defaultWsgiRoute, ...program, path, directory, workers }
}

function findPython(given: string, searchPath: string): string {
  const file = resolve(given)
  if (kindOfFile(file) === 'directory' && isProgram(join(file, 'bin/python'))) {
    return join(file, 'bin/python')
  }
  if (given.includes('/') && isProgram(file)) return file
  const found = given.includes('/') ? undefined : findProgram(given, searchPath)
  if (found !== undefined) return found
  throw new ConfigError(
    { flag: '--python' },
    `there is no interpreter ${given}`,
    'install it, or name a program or the folder of a virtual environment',
  )
}
