/**
 * What a supervisor is given and what it tells: types only.
 */
import type { Logger } from '../log.js'
import type { Spawner } from '../process/spawner.js'
import type { Address } from '../upstream/address.js'
import type { WorkersConfig } from './options.js'
import type { ReadyProbe } from './readiness.js'
import type { WorkersListen } from './sockets.js'
import type { UpstreamSet, WorkerState } from './worker.js'

export interface SupervisorOptions {
  readonly config: WorkersConfig
  /** `own`: one unix socket per worker, for our gateway; `shared`: one socket, for foreign web servers. */
  readonly listen: WorkersListen
  /** Requests at once that a worker takes. */
  readonly capacity: number
  /** Where ready workers are announced; undefined for a shared socket. */
  readonly upstreams: UpstreamSet | undefined
  readonly spawner: Spawner
  readonly log: Logger
  /**
   * The protocol's question whether a worker answers: settles when it does, is asked again when it rejects.
   * Undefined: a worker is ready when it waits for connections, as far as the system shows it (`readiness.ts`).
   */
  readonly ready: ReadyProbe | undefined
  /** Milliseconds, monotonic; default performance.now. */
  readonly now?: () => number
}

/** A worker as seen from outside. */
export interface WorkerReport {
  readonly name: string
  /** Undefined while the process is being started. */
  readonly pid: number | undefined
  readonly state: WorkerState
  readonly address: Address | undefined
  /** Requests that it has had. */
  readonly requests: number
  readonly ageMs: number
}
