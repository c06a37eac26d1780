/**
 * Header field names and the variables they become: which pass, which never do, which are ambiguous.
 *
 * Pure but for a cache, bounded in entries and in the length of each: clients send the same twenty names
 * over and over. What happens to a request's fields is `meta-variables.ts`.
 */
import type { ByteString } from '../gateway.js'

/** What a header field becomes. */
export interface HeaderVariable {
  /** `HTTP_…` or CONTENT_TYPE; undefined for a name that may never become a variable. */
  readonly variable: string | undefined
  /** Other characters than letters, digits and hyphens: several such names share a variable (B-15, B-16). */
  readonly ambiguous: boolean
  /** Joins repeated fields; undefined where a repeated field is refused (B-13). */
  readonly separator: string | undefined
}

/** What a header field becomes, by its name in any case. */
export function headerVariable(name: ByteString): HeaderVariable {
  const known = cache.get(name)
  if (known !== undefined) return known
  const made = makeVariable(name.toLowerCase())
  if (name.length > maxCachedLength) return made
  // Emptied rather than closed: made-up names of one client must not keep out everybody's usual ones.
  if (cache.size >= maxCachedNames) cache.clear()
  cache.set(name, made)
  return made
}

const maxCachedNames = 1_000
const maxCachedLength = 100
const cache = new Map<ByteString, HeaderVariable>()

const neverPassed: ReadonlySet<string> = new Set([
  // httpoxy: libraries take HTTP_PROXY for their proxy (B-18, CVE-2016-5385).
  'proxy',
  // Meant for a proxy, never for a program (B-20).
  'proxy-authorization',
  // Of the connection, not of the request (B-21).
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  // CONTENT_LENGTH counts what the program gets, not what the client said (B-14).
  'content-length',
])

const refusedWhenRepeated: ReadonlySet<string> = new Set(['host', 'authorization'])

function makeVariable(name: string): HeaderVariable {
  // The name that a program will believe it sees: X_A is taken for X-A (B-17).
  const hyphenated = name.replace(/[^a-z0-9]/g, '-')
  const ambiguous = hyphenated !== name
  return { variable: variableOf(hyphenated, ambiguous), ambiguous, separator: separatorOf(name) }
}

function variableOf(name: string, ambiguous: boolean): string | undefined {
  if (neverPassed.has(name)) return undefined
  // B-14; and `Content_Type` is not an alias of it.
  if (name === 'content-type') return ambiguous ? undefined : 'CONTENT_TYPE'
  return `HTTP_${name.toUpperCase().replaceAll('-', '_')}`
}

function separatorOf(name: string): string | undefined {
  if (refusedWhenRepeated.has(name)) return undefined
  return name === 'cookie' ? '; ' : ', '
}
