/**
 * The path of a route as people write it: what it becomes, and why it could never match.
 *
 * Pure, for the configuration and for flags alike; whoever asks knows the place of a mistake.
 */
import { showValue } from './config-error.js'

/** What is wrong with a path and what to write instead. */
export interface PathFault {
  readonly problem: string
  readonly remedy: string
}

/** The prefix with its trailing slash. */
export function withTrailingSlash(path: string): string {
  return path.endsWith('/') ? path : `${path}/`
}

/** Requests are compared after decoding and without dot segments: why no request would match, if so. */
export function faultOfRoutePath(given: string): PathFault | undefined {
  if (!given.startsWith('/')) {
    return {
      problem: `expected a path that begins with /, got ${showValue(given)}`,
      remedy: 'write for example /app/',
    }
  }
  if (/[?#%]/.test(given)) {
    return {
      problem: `expected a path without ?, # and %, got ${showValue(given)}`,
      remedy: 'write the path decoded and without a query',
    }
  }
  if (/\/\.{0,2}\//.test(withTrailingSlash(given))) {
    return {
      problem: `expected a path without empty, . and .. segments, got ${showValue(given)}`,
      remedy: 'write for example /cgi-bin/',
    }
  }
  return undefined
}
