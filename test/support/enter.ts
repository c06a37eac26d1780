/**
 * A place at an upstream as a test likes to have it: at once, or as a promise of it.
 */
import type { GatewayError } from '../../src/errors.js'
import type { LeaveSignal } from '../../src/gateway.js'
import type { Lease, Upstream, Upstreams } from '../../src/upstream/upstreams.js'

/** The lease, or a promise when the request has to wait; throws and rejects as `ask` says. */
export function enterUpstreams(
  upstreams: Upstreams,
  signal: LeaveSignal,
  tried?: ReadonlySet<Upstream>,
): Lease | Promise<Lease> {
  let admit: (lease: Lease) => void = () => {}
  let refuse: (error: GatewayError) => void = () => {}
  const lease = upstreams.ask(signal, tried, {
    admit: place => admit(place),
    refuse: error => refuse(error),
  })
  if (lease !== undefined) return lease
  return new Promise((resolve, reject) => {
    admit = resolve
    refuse = reject
  })
}
