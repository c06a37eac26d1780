/**
 * Which route answers a path, and what is left of the path below its prefix.
 *
 * Pure. The longest prefix wins, on whole segments; runs of slashes are merged while matching. One
 * comparison per route and path: a table for thousands of routes would belong here, once somebody has
 * them. What a gateway makes of the rest is its own matter.
 */
import { fromText } from '../byte-string.js'
import type { ByteString } from '../gateway.js'

/** A route and the part of the path below its prefix. */
export interface RouteMatch<R> {
  readonly route: R
  /**
   * From the slash that ends the prefix on, as it came: `/cgi-bin/` leaves of `//cgi-bin//env.cgi//a`
   * the rest `//env.cgi//a`. Empty only where the path is the prefix without its last slash (L-6): one
   * program or a gateway answers that itself, a directory redirects.
   */
  readonly rest: ByteString
}

export interface Router<R> {
  /** The route for a decoded path, or undefined when none takes it. */
  match(path: ByteString): RouteMatch<R> | undefined
}

/** Makes a router; each route's `path` begins and ends with `/`. Of two with the same path the first wins. */
export function createRouter<R extends { readonly path: string }>(routes: readonly R[]): Router<R> {
  const longestFirst = routes
    .map(route => ({ route, prefix: fromText(route.path) }))
    .sort((a, b) => b.prefix.length - a.prefix.length)

  return {
    match(path) {
      for (const { route, prefix } of longestFirst) {
        const rest = restBelow(path, prefix)
        if (rest !== undefined) return { route, rest }
      }
      return undefined
    },
  }
}

function restBelow(path: ByteString, prefix: ByteString): ByteString | undefined {
  const lastSlash = prefix.length - 1
  if (path.startsWith(prefix)) return path.slice(lastSlash)
  let at = 0
  for (let i = 0; i < lastSlash; i++) {
    if (path[at] !== prefix[i]) return undefined
    at++
    if (prefix[i] === '/') while (path[at] === '/') at++
  }
  // `/x` is `/x/` without its slash; `/xy` is not.
  return at === path.length || path[at] === '/' ? path.slice(at) : undefined
}
