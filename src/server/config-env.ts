/**
 * `env` of a configuration: names made fit for programs, values checked, global and route merged.
 *
 * Conventions B-2 and B-4. What the host passes on by itself (PATH, HOME…) is the environment's matter,
 * not the configuration's.
 */
import type { EnvConfig } from './config.js'
import type { ConfigDocument } from './config-document.js'
import { type SettingPath, showValue } from './config-error.js'
import type { RawEnv } from './config-schema-route.js'

export const emptyEnv: EnvConfig = { set: {}, pass: [] }

/**
 * The variables of `raw` on top of those of `base`; the nearer setting wins.
 * @param path of the `env` map
 * @throws ConfigError for a value that no environment can hold, or two names that become one
 */
export function readEnv(
  document: ConfigDocument,
  path: SettingPath,
  raw: RawEnv | undefined,
  base: EnvConfig,
): EnvConfig {
  if (raw === undefined) return base
  const own: Record<string, string> = {}
  for (const [name, given] of Object.entries(raw.set ?? {})) {
    const place = [...path, 'set', name]
    const variable = variableNameOf(name)
    if (variable === '') document.failAtKey(place, 'a name is empty', 'write for example LANG')
    if (Object.hasOwn(own, variable)) {
      document.failAtKey(place, `becomes ${variable}, which is set already`, 'remove one of them')
    }
    own[variable] = readValue(document, place, given)
  }
  return {
    set: { ...base.set, ...own },
    pass: [...new Set([...base.pass, ...(raw.pass ?? [])])],
  }
}

/** B-4: upper case, and `_` for what is not a letter, digit or `_`. */
function variableNameOf(name: string): string {
  return name.toUpperCase().replace(/[^A-Z0-9_]/g, '_')
}

function readValue(
  document: ConfigDocument,
  place: SettingPath,
  given: string | number | boolean,
): string {
  // A number is taken as it was typed: `007` must not become `7`.
  const value = typeof given === 'string' ? given : (document.source(place) ?? String(given))
  // B-2: NUL ends the variable, CR and LF end a header line in some programs.
  if (!/[\0\r\n]/.test(value)) return value
  return document.fail(
    place,
    `expected text without NUL, CR and LF, got ${showValue(value)}`,
    'write it on one line; a block text (|) ends in a line feed, |- does not',
  )
}
