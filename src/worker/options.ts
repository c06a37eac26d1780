/**
 * What is known about a group of workers: how they are started, how many, and when one is replaced.
 *
 * Complete and read-only; times end in `Ms`, sizes in `Bytes`. `server/config-workers.ts` fills it from
 * `postern.yaml`, the command `fcgi` from flags. A setting must have a user today.
 */
import type { ByteString } from '../gateway.js'

/** How many workers there are. Static: `min` equals `max`. On demand: `min` is 0. */
export interface WorkerCount {
  readonly min: number
  readonly max: number
  /** Idle workers kept ready above what is needed, within `max`. */
  readonly spare: number
  /** A worker beyond `min` and `spare` that had nothing to do for this long is ended. */
  readonly idleMs: number
}

/** When a worker that works is replaced all the same. 0: never. */
export interface WorkerRecycling {
  /** After about so many requests; each worker's number differs by up to a tenth, so that they do not go together. */
  readonly requests: number
  readonly ageMs: number
  /** Resident memory. */
  readonly memoryBytes: number
}

export interface WorkersConfig {
  /** Program and arguments; the program is absolute. */
  readonly command: readonly string[]
  /** Absolute working directory. */
  readonly directory: string
  /** `NAME=value`, the whole environment. */
  readonly env: readonly ByteString[]
  readonly count: WorkerCount
  readonly recycling: WorkerRecycling
  /** A worker that is not ready after this long has failed to start. */
  readonly readyMs: number
  /** From TERM to KILL. */
  readonly graceMs: number
  /**
   * Sent to a worker that is stuck, before it is replaced: what it prints then (a stack trace) goes to the log.
   * Undefined: it is replaced at once.
   */
  readonly stuckSignal: NodeJS.Signals | undefined
  /** How long it may print after that signal. */
  readonly stuckDumpMs: number
  /** Absolute files and folders whose change replaces the workers (`--dev`); empty: nothing is watched. */
  readonly watch: readonly string[]
}

export const defaultWorkers: Omit<WorkersConfig, 'command' | 'directory' | 'env'> = {
  count: { min: 4, max: 4, spare: 0, idleMs: 60_000 },
  recycling: { requests: 0, ageMs: 0, memoryBytes: 0 },
  readyMs: 10_000,
  graceMs: 3_000,
  stuckSignal: undefined,
  stuckDumpMs: 500,
  watch: [],
}
