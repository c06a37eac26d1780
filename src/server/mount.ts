/**
 * What a route has become in a running server: a gateway below a prefix, and the workers behind it.
 *
 * Types only: `mounts.ts` chooses what makes each kind, the files named `…-mount.ts` make them.
 */
import type { Gateway } from '../gateway.js'
import type { Logger } from '../log.js'
import type { Spawner } from '../process/spawner.js'

/** A gateway below a path prefix. */
export interface Mount {
  /** Begins and ends with `/`. */
  readonly path: string
  readonly gateway: Gateway
  readonly encodedSlash: 'reject' | 'decode' | 'keep'
  /** Workers of ours behind the gateway; its `close` and `kill` end them as well. */
  readonly workers?: WorkerGroup
  /** What answers can go on in another protocol (WebSocket). */
  readonly upgrades?: boolean
}

/** Workers of one route, seen from the server. */
export interface WorkerGroup {
  /**
   * Settles when as many as are wanted at least are ready.
   * @throws StartFailure with a line for the user when one never is
   */
  start(): Promise<void>
  /** Replaces them one by one, the replacement first; settles when all are new. */
  reload(): Promise<void>
}

export interface MountDependencies {
  readonly spawner: Spawner
  readonly log: Logger
  /** The server's own environment, for the allow-list of programs. */
  readonly environment: NodeJS.ProcessEnv
}
