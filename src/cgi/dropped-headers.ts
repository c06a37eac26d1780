/**
 * Names of request headers that were not passed to programs, each told once: whoever misses one finds out why,
 * and nobody can fill the log with them.
 *
 * What grows: one entry per name, at most `mostNames`.
 */
import type { ByteString } from '../gateway.js'
import type { Logger } from '../log.js'

const mostNames = 1_000

/** What `metaVariables` wants as `onDropped`; one for each gateway. */
export function reportDropped(log: Logger): (name: ByteString, reason: string) => void {
  const reported = new Set<string>()
  return (name, reason) => {
    const key = name.toLowerCase()
    if (reported.has(key) || reported.size >= mostNames) return
    reported.add(key)
    log.warn({ header: name, reason }, 'a request header is not passed to programs')
  }
}
