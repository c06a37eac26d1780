/**
 * Rounds → the figures of a mode: medians with their spread, sums of what went wrong. Pure.
 *
 * The median of rounds rather than the mean: one round that was disturbed from outside must not move the result.
 */
import type { ModeResult } from './result.js'

export interface Spread {
  readonly median: number
  readonly least: number
  readonly greatest: number
}

/** What is said of a mode; undefined where no round knows. */
export interface Figures {
  readonly title: string
  readonly rate: Spread
  readonly p50Ms: number | undefined
  readonly p99Ms: number | undefined
  readonly cpuSecondsPer1000: number | undefined
  readonly peakMiB: number | undefined
  readonly errors: number
  readonly wrong: number
  /** The busiest round's, share of a core. */
  readonly loadGeneratorCpu: number
}

/** The figures of a mode; undefined when it has no round yet. */
export function figuresOf({ title, rounds, peakMiB }: ModeResult): Figures | undefined {
  const rate = spread(rounds.map(sample => sample.rate))
  if (rate === undefined) return undefined
  return {
    title,
    rate,
    p50Ms: median(known(rounds.map(({ p50Ms }) => p50Ms))),
    p99Ms: median(known(rounds.map(({ p99Ms }) => p99Ms))),
    cpuSecondsPer1000: median(known(rounds.map(sample => sample.cpuSecondsPer1000))),
    peakMiB,
    errors: sum(rounds.map(({ errors }) => errors)),
    wrong: sum(rounds.map(({ wrong }) => wrong)),
    loadGeneratorCpu: Math.max(...rounds.map(sample => sample.loadGeneratorCpu)),
  }
}

/** The middle of the values, the mean of the two middle ones for an even count; undefined for none. */
export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle]
  const lower = sorted.length % 2 === 0 ? sorted[middle - 1] : upper
  return upper === undefined || lower === undefined ? undefined : (lower + upper) / 2
}

/** Median, least and greatest; undefined for no values. */
export function spread(values: readonly number[]): Spread | undefined {
  const middle = median(values)
  if (middle === undefined) return undefined
  return { median: middle, least: Math.min(...values), greatest: Math.max(...values) }
}

function known(values: readonly (number | undefined)[]): number[] {
  return values.filter(value => value !== undefined)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
