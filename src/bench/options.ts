/**
 * What a benchmark is asked to do: types and defaults, complete and read-only.
 *
 * Times end in `Ms`. The flags of `postern bench` fill it; each has a bound, because a closed loop of any length
 * and width would otherwise fill memory or disk. A setting must have a user today.
 */
import type { Subject } from './subject.js'

export interface BenchOptions {
  readonly subject: Subject
  /** Length of one round of one mode. */
  readonly durationMs: number
  /** Before the first round, for each mode. */
  readonly warmUpMs: number
  /** Connections that each wait for the answer before they ask again. */
  readonly clients: number
  readonly rounds: number
  /** Workers of the persistent modes. */
  readonly workers: number
}

export const defaultDurationMs = 3_000
export const defaultClients = 16
export const defaultRounds = 3

/** The least and most that may be asked for. */
export const benchBounds = {
  durationMs: { least: 100, most: 300_000 },
  clients: { least: 1, most: 1_000 },
  rounds: { least: 1, most: 100 },
} as const

/** Longer than this no mode needs to get warm. */
const mostWarmUpMs = 1_000

/** As long as a round, a second at most. */
export function warmUpFor(durationMs: number): number {
  return Math.min(durationMs, mostWarmUpMs)
}
