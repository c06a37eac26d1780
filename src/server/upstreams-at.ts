/**
 * The upstreams of a route whose programs run already, at addresses, and what the log says of their health.
 *
 * Loaded only when a route has programs behind addresses.
 */
import { defaultCapacity, type QueueConfig } from '../cgi/options.js'
import type { Logger } from '../log.js'
import type { Address } from '../upstream/address.js'
import { Upstreams, type UpstreamsOptions } from '../upstream/upstreams.js'

/** What of a route decides about who gets its requests. */
export interface UpstreamsRoute {
  readonly path: string
  readonly queue: QueueConfig
  /** Requests at once behind each address; default `defaultCapacity`. */
  readonly capacity?: number | undefined
}

export function atAddresses(
  { path, queue, capacity = defaultCapacity }: UpstreamsRoute,
  addresses: readonly Address[],
  log: Logger,
): Upstreams {
  const upstreams = new Upstreams({ queue, onHealth: healthLog(path, log) })
  for (const address of addresses) upstreams.add({ address, capacity })
  return upstreams
}

/** A program that is left out, and that is back, has a line each. */
export function healthLog(route: string, log: Logger): NonNullable<UpstreamsOptions['onHealth']> {
  return (upstream, state, forMs) => {
    const fields = { route, upstream: upstream.name }
    if (state === 'back') {
      log.info(fields, 'the program answers again')
      return
    }
    const said = 'the program does not answer and is left out for a while'
    log.warn({ ...fields, forMs: Math.round(forMs) }, said)
  }
}
