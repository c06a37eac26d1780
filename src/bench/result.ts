/**
 * The data of a benchmark: what `--json` prints, and what the words are made of. Types only.
 *
 * Plain values that survive JSON. Times end in `Ms` or `Seconds`, memory in `MiB`. Undefined (absent in JSON) is
 * what this system cannot tell.
 */
import type { Machine } from './machine.js'
import type { BenchRoute, ModeName } from './subject.js'

/** What every right answer is. */
export interface Answer {
  readonly status: number
  readonly type: string
  /** Bytes of the body. */
  readonly length: number
  readonly sha256: string
}

/** How far answers are compared: a body that changes from request to request cannot be. */
export type Comparison = 'body' | 'status and type'

/** One round of one mode. */
export interface Sample {
  /** Right answers within the time, per second. */
  readonly rate: number
  readonly p50Ms: number | undefined
  readonly p99Ms: number | undefined
  readonly maxMs: number | undefined
  /** Requests without a whole answer, and answers of 5xx. */
  readonly errors: number
  /** Whole answers that are not the expected one. */
  readonly wrong: number
  /** Of the server, its workers and every program, per 1000 answers. */
  readonly cpuSecondsPer1000: number | undefined
  /** Share of one core that the load generator used, 0 to 1. */
  readonly loadGeneratorCpu: number
}

/** A mode that was measured. */
export interface ModeResult {
  readonly mode: ModeName
  readonly title: string
  /** The route of the server under test. */
  readonly route: BenchRoute
  /** In the order of rounds. */
  readonly rounds: readonly Sample[]
  /** Greatest memory of the process tree that was seen. */
  readonly peakMiB: number | undefined
}

/** A mode that was not. */
export interface SkippedMode {
  readonly mode: ModeName
  readonly title: string
  readonly reason: string
}

/** What was asked for. */
export interface BenchPlan {
  readonly file: string
  /** Path and query of the request. */
  readonly target: string
  readonly durationMs: number
  readonly warmUpMs: number
  readonly clients: number
  readonly rounds: number
  readonly workers: number
}

export interface BenchResult {
  /** Version of this format. */
  readonly format: 1
  /** ISO 8601. */
  readonly date: string
  readonly machine: Machine
  readonly versions: { readonly postern: string; readonly node: string }
  readonly plan: BenchPlan
  /** Undefined when the benchmark was ended before an answer was seen. */
  readonly answer: Answer | undefined
  readonly comparison: Comparison
  readonly modes: readonly ModeResult[]
  readonly skipped: readonly SkippedMode[]
  /** False when it was ended before its last round. */
  readonly complete: boolean
}
