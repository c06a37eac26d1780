/**
 * Settings that name something on the disk: resolved against the folder of the configuration, and there.
 *
 * Checked when the configuration is read, so that a typing mistake is a line and column now and not a
 * 404 or 500 later. The file system may still change; the gateways look for themselves.
 */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { ConfigDocument } from './config-document.js'
import { type SettingPath, showValue } from './config-error.js'
import { findProgram, isProgram } from './search-path.js'

/** What a configuration is read against. */
export interface ConfigSurroundings {
  readonly document: ConfigDocument
  /** Absolute folder that relative paths begin at. */
  readonly directory: string
  /** The server's own variables: programs have some of them, PATH for one. */
  readonly environment: NodeJS.ProcessEnv
  /** Folders where programs are looked for, with colons between. */
  readonly searchPath: string
}

/** `directory`, `file`, or undefined when there is nothing (or nothing that may be seen) at this path. */
export function kindOfFile(file: string): 'directory' | 'file' | undefined {
  try {
    const stats = statSync(file)
    if (stats.isDirectory()) return 'directory'
    return stats.isFile() ? 'file' : undefined
  } catch {
    return undefined
  }
}

/**
 * Absolute path of an existing folder.
 * @throws ConfigError at the value
 */
export function readFolder(
  { document, directory }: ConfigSurroundings,
  path: SettingPath,
  given: string,
): string {
  const folder = resolve(directory, given)
  const kind = kindOfFile(folder)
  if (kind === 'directory') return folder
  const problem = kind === 'file' ? `${folder} is not a folder` : `there is no folder ${folder}`
  return document.fail(path, problem, 'create it, or correct the path')
}

/**
 * Absolute path of an interpreter: a bare name is looked up on the search path.
 * @throws ConfigError at the value
 */
export function readInterpreter(
  { document, directory, searchPath }: ConfigSurroundings,
  path: SettingPath,
  given: string,
): string {
  if (given.includes('/')) {
    const file = resolve(directory, given)
    if (isProgram(file)) return file
    return document.fail(path, `there is no program ${file}`, 'install it, or correct the path')
  }
  const found = findProgram(given, searchPath)
  if (found !== undefined) return found
  return document.fail(
    path,
    `there is no program ${showValue(given)} on PATH`,
    'install it, or write its absolute path without arguments',
  )
}

/**
 * Absolute path of a program that is started as it is: a bare name is looked up on the search path.
 * @throws ConfigError at the value
 */
export function readProgram(
  surroundings: ConfigSurroundings,
  path: SettingPath,
  given: string,
): string {
  const file = resolve(surroundings.directory, given)
  if (given.includes('/') && kindOfFile(file) === 'file' && !isProgram(file)) {
    return surroundings.document.fail(path, `${file} is not executable`, `chmod +x ${file}`)
  }
  return readInterpreter(surroundings, path, given)
}

/**
 * Absolute path of what a cgi route runs, and which of the two it is.
 * @param needsNoMode whether an interpreter reads the file, which then needs no execute bit
 * @throws ConfigError at the value
 */
export function readCgiTarget(
  { document, directory }: ConfigSurroundings,
  path: SettingPath,
  given: string,
  needsNoMode: (file: string) => boolean,
): { readonly target: string; readonly program: boolean } {
  const target = resolve(directory, given)
  const kind = kindOfFile(target)
  if (kind === 'directory') return { target, program: false }
  if (kind === undefined) {
    return document.fail(
      path,
      `there is no folder or program ${target}`,
      'create it, or correct the path',
    )
  }
  if (isProgram(target) || needsNoMode(target)) return { target, program: true }
  return document.fail(path, `${target} is not executable`, `chmod +x ${target}`)
}
