/**
 * The building blocks of the schema: types of values, each with the sentence for what does not fit.
 *
 * Messages have two lines, the problem and the remedy; `config-check.ts` adds the place. Nothing here
 * knows a setting by name.
 */
import { z } from 'zod'
import { parseAddress, parseHttpAddress, parseListen } from './address.js'
import { showValue } from './config-error.js'
import { nearMiss } from './near-miss.js'
import { parseDuration, parseSize } from './units.js'

/** The two lines of a message: problem and remedy. */
function twoLines(problem: string, remedy: string): string {
  return `${problem}\n${remedy}`
}

/** The `error` option of a zod type: what was expected, what came, what to write. */
export function expected(what: string, example: string) {
  return {
    error: (issue: { readonly input?: unknown }) =>
      twoLines(`expected ${what}, got ${showValue(issue.input)}`, `write for example ${example}`),
  }
}

/** A map with these keys and no others. */
export function map<Shape extends z.ZodRawShape>(shape: Shape, example: string) {
  const known = Object.keys(shape)
  const wrongType = expected('a map', example).error
  return z.strictObject(shape, {
    error: issue =>
      issue.code === 'unrecognized_keys'
        ? unknownKey(String(issue.keys?.[0]), known)
        : wrongType(issue),
  })
}

function unknownKey(key: string, known: readonly string[]): string {
  const meant = nearMiss(key, known)
  if (meant !== undefined) return twoLines('unknown key', `did you mean ${meant}?`)
  return twoLines('unknown key', `the keys here are ${known.join(', ')}`)
}

/** A scalar whose text is read by `parse`; undefined from it is a mistake. */
export function parsed<T>(parse: (value: unknown) => T | undefined, what: string, example: string) {
  const message = expected(what, example)
  return z.union([z.string(), z.number()], message).transform((input, context): T => {
    const value = parse(input)
    if (value !== undefined) return value
    context.addIssue({ code: 'custom', message: message.error({ input }) })
    return z.NEVER
  })
}

/** An integer from `least` to `most`. */
export function whole(least: number, most: number, example: number) {
  const what =
    most === Number.MAX_SAFE_INTEGER
      ? `an integer >= ${least}`
      : `an integer from ${least} to ${most}`
  const message = expected(what, String(example))
  return z.int(message).min(least, message).max(most, message)
}

/** One of these words; the first is the example. */
export function choice<const Values extends readonly [string, ...string[]]>(values: Values) {
  return z.enum(values, expected(values.join(' or '), values[0]))
}

/** Text that is not empty. */
export function text(what: string, example: string) {
  const message = expected(what, example)
  // NUL ends a C string: what the system opened would not be what was checked.
  return z
    .string(message)
    .min(1, message)
    .regex(/^[^\0]*$/, message)
}

/** A list of any length. */
export function list<Item extends z.ZodType>(item: Item, what: string, example: string) {
  return z.array(item, expected(what, example))
}

/** A list that says something: an empty one would be a route for nobody. */
export function fullList<Item extends z.ZodType>(item: Item, what: string, example: string) {
  return list(item, what, example).min(1, expected(what, example))
}

/** `true` or `false`. */
export const switched = z.boolean(expected('true or false', 'true'))
/** Milliseconds. */
export const duration = parsed(parseDuration, 'a duration', '500ms, 30s, 5m, 1h, or 0 for none')
/** Bytes. */
export const size = parsed(parseSize, 'a size', '64KiB, 1MiB, 1GiB, or a number of bytes')
export const positiveSize = parsed(
  value => (parseSize(value) === 0 ? undefined : parseSize(value)),
  'a size above 0',
  '64KiB, 1MiB, or a number of bytes',
)
export const count = whole(1, Number.MAX_SAFE_INTEGER, 100)

export const listenAddress = parsed(
  parseListen,
  'an address to listen on',
  '127.0.0.1:8000, [::1]:8000, 8000, or unix:/run/postern.sock',
)

export const backendAddress = parsed(
  parseAddress,
  'an address',
  'unix:/run/app.sock, tcp:127.0.0.1:9000, or 127.0.0.1:9000',
)

/** Where an HTTP server listens. */
export const httpAddress = parsed(
  parseHttpAddress,
  'an http URL without a path (https is not spoken to servers behind)',
  'http://127.0.0.1:9000 or unix:/run/app.sock',
)

export const folder = text('a folder', 'public')
const fileName = z
  .string(expected('a file name', 'index.html'))
  .regex(/^[^/\0]+$/, expected('a file name without a slash', 'index.html'))
/** One or several names of files, as a list. */
export const fileNames = z
  .union([fileName, z.array(fileName)], expected('a file name or a list of them', 'index.html'))
  .transform(names => (typeof names === 'string' ? [names] : names))

export const variableName = z
  .string(expected('a variable name', 'TZ'))
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, expected('a variable name', 'TZ'))
