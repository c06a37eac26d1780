/**
 * Finding a program as execvp does: on the search path, or at the path it is given.
 *
 * Used when a configuration is read and by the inspection of scripts, never during a request. The search
 * path is an argument: only the command line knows the server's own environment.
 */
import { accessSync, constants, statSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { toText } from '../byte-string.js'
import { createEnvironment } from '../cgi/environment.js'
import type { EnvConfig } from './config.js'

/** PATH as programs of a route see it. */
export function searchPathOf(env: EnvConfig, host: NodeJS.ProcessEnv): string {
  const [first = ''] = createEnvironment(env, host)(new Map()).filter(isPath)
  const path = first.slice('PATH='.length)
  return toText(path) ?? path
}

const isPath = (entry: string): boolean => entry.startsWith('PATH=')

/** Absolute path of the program called `name` (without a slash), or undefined. */
export function findProgram(name: string, searchPath: string): string | undefined {
  for (const folder of searchPath.split(':')) {
    // An empty or relative entry would mean the working directory, which is nobody's intention here.
    if (!isAbsolute(folder)) continue
    const file = join(folder, name)
    if (isProgram(file)) return file
  }
  return undefined
}

/** Whether this is a file that may be executed. */
export function isProgram(file: string): boolean {
  try {
    if (!statSync(file).isFile()) return false
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
