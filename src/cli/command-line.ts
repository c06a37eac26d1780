/**
 * What the commands have in common when they read their words: how yargs is to leave them alone, and the
 * mistakes that are made with any flag.
 *
 * Every mistake is a ConfigError that names the flag and what to write. Knows no flag by name; which flags a
 * command has, and what their values mean, is in its own file.
 */
import { ConfigError, showValue } from '../server/config-error.js'
import { nearMiss } from '../server/near-miss.js'

/** What yargs has found, by the names of a command's flags; the other words are in `_`. */
export type Values<Name extends string> = {
  readonly [Key in Name | 'help' | 'version' | '_']?: unknown
}

/** Flags as yargs wants them described. */
export type FlagTable = Readonly<
  Record<string, { readonly describe: string; readonly alias?: string }>
>

/** For yargs: values are text, and names are what was typed. */
export const plainParsing = {
  'camel-case-expansion': false,
  'dot-notation': false,
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'boolean-negation': false,
} as const

/** The error for a flag or word, with what to do about it. */
export function mistake(flag: string, problem: string, remedy: string): ConfigError {
  return new ConfigError({ flag }, problem, remedy)
}

/** The error for a value that is not what was expected; `example` is a whole flag with a value. */
export function unexpected(flag: string, what: string, got: unknown, example: string): ConfigError {
  const shown = got === undefined || got === '' ? 'nothing' : showValue(got)
  return mistake(flag, `expected ${what}, got ${shown}`, `write for example ${example}`)
}

/** The first name that is none of a command's flags; `own` are those that are not in the table. */
export function unknownName(
  values: Readonly<Record<string, unknown>>,
  flags: FlagTable,
  own: readonly string[],
): string | undefined {
  const aliases = Object.values(flags).flatMap(({ alias }) => (alias === undefined ? [] : [alias]))
  const known = new Set([...Object.keys(flags), ...aliases, ...own, 'help', 'h', '_', '$0'])
  return Object.keys(values).find(name => !known.has(name))
}

/** The error for such a name. */
export function unknownFlag(name: string, flags: FlagTable, seeHelp: string): ConfigError {
  const meant = name.length === 1 ? undefined : nearMiss(name, Object.keys(flags))
  const remedy = meant === undefined ? seeHelp : `did you mean --${meant}?`
  return mistake(name.length === 1 ? `-${name}` : `--${name}`, 'unknown flag', remedy)
}

/** The text of a flag that is given once. */
export function one<Name extends string>(
  values: Values<Name>,
  name: NoInfer<Name>,
): string | undefined {
  const value = values[name]
  if (Array.isArray(value)) throw mistake(`--${name}`, 'given more than once', 'give it once')
  return value === undefined ? undefined : String(value)
}

/** The texts of a flag that may be repeated. */
export function many<Name extends string>(values: Values<Name>, name: NoInfer<Name>): string[] {
  const value = values[name]
  if (value === undefined) return []
  return Array.isArray(value) ? value.map(String) : [String(value)]
}

/** The value of a flag, once and not empty, as `parse` reads it. */
export function read<Name extends string, T>(
  values: Values<Name>,
  name: NoInfer<Name>,
  parse: (value: string) => T | undefined,
  what: string,
  example: string,
): T | undefined {
  const text = one(values, name)
  if (text === undefined) return undefined
  const result = text === '' ? undefined : parse(text)
  if (result !== undefined) return result
  throw unexpected(`--${name}`, what, text, example)
}

/** Reads a whole number within bounds. */
export function wholeNumber(least: number, most: number): (text: string) => number | undefined {
  return text => {
    const number = /^\d+$/.test(text) ? Number(text) : Number.NaN
    return number >= least && number <= most ? number : undefined
  }
}

/** `NAME=value` of an environment, as `--env` takes it. */
export function readVariable(pair: string, example: string): [name: string, value: string] {
  const equals = pair.indexOf('=')
  if (equals > 0) return [pair.slice(0, equals), pair.slice(equals + 1)]
  throw unexpected('--env', 'NAME=value', pair, example)
}
