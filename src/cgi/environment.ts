/**
 * The environment of a program, built from nothing: a few variables of the host, those of the request,
 * those of the config. Nothing else of the server's own environment reaches a program.
 *
 * What does not depend on the request is encoded once. The size is bounded here, before the system
 * refuses it without saying why. Which variables a request has is `meta-variables.ts`.
 */
import { fromText } from '../byte-string.js'
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'
import type { EnvConfig } from './options.js'

/** PATH of programs where the host has none. */
export const fallbackPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Variables of the host that programs see when they are set (L-11). */
const hostVariables = ['PATH', 'HOME', 'TMPDIR', 'TZ', 'LANG', 'LD_LIBRARY_PATH']

/** Linux MAX_ARG_STRLEN: one `NAME=value` with its NUL. */
const maxEntryBytes = 128 * 1024
/** Linux allows a quarter of the usual 8 MiB stack; the rest is for argv and what the kernel adds. */
const maxTotalBytes = (2 * 1024 - 128) * 1024
/** NUL and pointer, which count too. */
const overheadBytes = 9

/** Makes the whole environment of a program, as `NAME=value`, from the variables of one request. */
export type EnvironmentBuilder = (variables: ReadonlyMap<string, ByteString>) => ByteString[]

/**
 * Prepares the environments of one route (B-0): the host's allow-list and `env.pass`, then the request's
 * variables, then `env.set`, which wins. A variable of the host keeps its value whatever the request says.
 * The builder throws GatewayError: BAD_HEADER for a NUL in a value, ENVIRONMENT_TOO_LARGE (B-3).
 * @throws TypeError for a NUL in a configured value
 */
export function createEnvironment(env: EnvConfig, host: NodeJS.ProcessEnv): EnvironmentBuilder {
  const fixed = new Map<string, ByteString>([['PATH', fallbackPath]])
  for (const name of hostVariables) passVariable(fixed, host, name)
  for (const [name, value] of configuredVariables(env, host)) fixed.set(name, value)
  const fixedEntries = [...fixed].map(([name, value]) => `${name}=${value}`)
  const fixedBytes = fixedEntries.reduce((sum, entry) => sum + entry.length + overheadBytes, 0)
  const longestFixed = [...fixed].find(([name, value]) => isTooLong(name, value))?.[0]

  return variables => {
    if (longestFixed !== undefined) throw tooLarge(longestFixed)
    const entries = fixedEntries.slice()
    let bytes = fixedBytes
    for (const [name, value] of variables) {
      if (fixed.has(name)) continue
      if (value.includes('\0')) throw new GatewayError('BAD_HEADER', `${name} holds a NUL byte.`)
      if (isTooLong(name, value)) throw tooLarge(name)
      bytes += name.length + value.length + 1 + overheadBytes
      entries.push(`${name}=${value}`)
    }
    if (bytes > maxTotalBytes) throw tooLarge('All together')
    return entries
  }
}

/**
 * What the config adds to the variables of every request: `env.pass`, then `env.set`, which wins.
 * @throws TypeError for a NUL in a configured value
 */
export function configuredVariables(
  env: EnvConfig,
  host: NodeJS.ProcessEnv,
): Map<string, ByteString> {
  const variables = new Map<string, ByteString>()
  for (const name of env.pass) passVariable(variables, host, name)
  for (const [name, value] of Object.entries(env.set)) {
    if (value.includes('\0')) throw new TypeError(`env.set: ${name} holds a NUL byte`)
    variables.set(variableName(name), fromText(value))
  }
  return variables
}

function passVariable(
  variables: Map<string, ByteString>,
  host: NodeJS.ProcessEnv,
  name: string,
): void {
  const value = host[name]
  if (value !== undefined && value !== '') variables.set(fromText(name), fromText(value))
}

/** B-4: configured names are upper case, letters, digits and underscores. */
function variableName(name: string): string {
  return name.toUpperCase().replace(/[^A-Z0-9_]/g, '_')
}

function isTooLong(name: string, value: ByteString): boolean {
  return name.length + value.length + 2 > maxEntryBytes
}

function tooLarge(what: string): GatewayError {
  return new GatewayError('ENVIRONMENT_TOO_LARGE', `${what} has more bytes than the system takes.`)
}

/** The server's own variables: the one place that reads them for programs. */
export function hostEnvironment(): NodeJS.ProcessEnv {
  return process.env
}
