/**
 * The data of a comparison, as it is saved in JSON and read by the report. Types only; words come after.
 */
import type { LoopDelay } from './loop-delay-probe.js'
import type { Machine } from './machine.js'

/** One round of one server. */
export interface Sample {
  /** In the unit of the row; right answers only. */
  readonly rate: number
  readonly p50Ms: number | undefined
  readonly p99Ms: number | undefined
  readonly errors: number
  readonly wrong: number
  /** Clients that had less than a tenth of an even share; no percentile of latency shows them. */
  readonly starved: number
  /** CPU seconds of the server and its programs per 1000 requests; undefined when /proc cannot tell. */
  readonly cpuPer1000: number | undefined
  /** CPU seconds of the whole machine without the load generator per 1000 requests: an upper bound. */
  readonly machineCpuPer1000: number
  /** CPU used by neither the server nor the load generator, as a share of the machine (0 to 1). */
  readonly foreignCpu: number | undefined
  readonly loopDelay: LoopDelay | undefined
}

/** One contender in one cell. */
export interface Series {
  readonly server: string
  /** `ceiling`: no server at all, the spawn loop. */
  readonly side: 'own' | 'peer' | 'ceiling'
  /** Greatest memory of the process tree seen while warming up and after each round. */
  readonly peakMiB: number | undefined
  /** In the order of rounds. */
  readonly samples: readonly Sample[]
}

/** One row at one number of clients. */
export interface Cell {
  readonly row: string
  readonly unit: string
  readonly clients: number
  readonly series: readonly Series[]
}

export interface Result {
  readonly machine: Machine
  /** ISO 8601. */
  readonly date: string
  readonly rounds: number
  readonly seconds: number
  readonly cells: readonly Cell[]
}
