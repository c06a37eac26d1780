/**
 * A mistake in the configuration: where it is, what is wrong, what to write instead.
 *
 * The person who reads it sees one line and has to find the place without help, so the place is part of
 * the error: file, line and column, or the flag. No yaml, no zod: the command line throws it as well.
 */
import { printable } from './printable.js'

/** Where a setting was written. */
export type SettingPlace =
  | { readonly file: string; readonly line: number; readonly column: number }
  /** The file as a whole, for example one that cannot be read. */
  | { readonly file: string }
  | { readonly flag: string }
  /** Nobody wrote it: a default. */
  | { readonly builtIn: true }

/** Thrown for everything that is wrong with a configuration before the server starts. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  /** The configuration file as the user named it, or undefined for a flag. */
  readonly file: string | undefined
  /** 1-based, or undefined when no single place is to blame. */
  readonly line: number | undefined
  /** 1-based. */
  readonly column: number | undefined
  /** What is wrong, beginning with the setting: `routes[1].queue.length: expected an integer >= 0, got "two"`. */
  readonly problem: string
  /** What to write or do instead. */
  readonly remedy: string

  /** `message` becomes the whole line without the program's name: place, problem, remedy. */
  constructor(place: SettingPlace, problem: string, remedy: string) {
    super(printable(`${describePlace(place)}${problem}; ${remedy}`))
    this.file = 'file' in place ? place.file : undefined
    this.line = 'line' in place ? place.line : undefined
    this.column = 'line' in place ? place.column : undefined
    this.problem = problem
    this.remedy = remedy
  }
}

/** The place as the beginning of a line, `postern.yaml:12:5: `; empty for a default. */
function describePlace(place: SettingPlace): string {
  if ('builtIn' in place) return ''
  if ('flag' in place) return `${place.flag}: `
  return 'line' in place ? `${place.file}:${place.line}:${place.column}: ` : `${place.file}: `
}

/** A value as a message shows it: JSON, cut to a bearable length; `nothing` when there is none. */
export function showValue(value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  const json = JSON.stringify(value) ?? String(value)
  return json.length > 60 ? `${json.slice(0, 57)}...` : json
}

/** One step into a configuration: a key, or an index of a list. */
export type SettingPath = readonly (string | number)[]

/** `routes[1].queue.length`, `routes[0].interpreters[".py"]`. */
export function describePath(path: SettingPath): string {
  return path.map(describeStep).join('')
}

function describeStep(step: string | number, index: number): string {
  if (typeof step === 'number') return `[${step}]`
  if (!/^[A-Za-z_][\w-]*$/.test(step)) return `[${showValue(step)}]`
  return index === 0 ? step : `.${step}`
}
