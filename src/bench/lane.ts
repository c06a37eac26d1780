/**
 * A mode at work: its server, what was measured of it so far, and one round of it.
 *
 * Idle servers keep running while another has its round; they are quiet. Memory is read while warming up and after
 * each round, because reading that of a hundred processes costs a measured round some of its CPU.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { LoadPlan, LoadReport } from './load.js'
import type { LoadGenerator } from './load-child.js'
import { memoryMiBOf } from './process-memory.js'
import { cpuSecondsOf, hasProcesses, processTree } from './process-tree.js'
import type { ModeResult, Sample } from './result.js'
import type { ServerProcess } from './server-process.js'
import { type BenchRoute, type ModeName, modeTitles } from './subject.js'

const memoryIntervalMs = 250

/** Programs whose answer is complete may take this long to be gone. */
const settleMs = 2_000
const settlePollMs = 5

export class Lane {
  readonly mode: ModeName
  readonly server: ServerProcess
  readonly #route: BenchRoute
  readonly #rounds: Sample[] = []
  #peakMiB: number | undefined

  constructor(mode: ModeName, route: BenchRoute, server: ServerProcess) {
    this.mode = mode
    this.server = server
    this.#route = route
  }

  get title(): string {
    return modeTitles[this.mode]
  }

  /** What was measured so far. */
  get result(): ModeResult {
    return {
      mode: this.mode,
      title: this.title,
      route: this.#route,
      rounds: [...this.#rounds],
      peakMiB: this.#peakMiB,
    }
  }

  /** Load that is not counted. */
  async warmUp(load: LoadGenerator, plan: LoadPlan): Promise<void> {
    const timer = setInterval(() => this.#lookAtMemory(), memoryIntervalMs)
    try {
      await load.run(plan)
    } finally {
      clearInterval(timer)
    }
    this.#lookAtMemory()
    this.server.forgetOutput()
  }

  /** One round. @throws BenchFailure when the server or the load generator has ended */
  async measure(load: LoadGenerator, plan: LoadPlan): Promise<Sample> {
    const before = this.#tree()
    const report = await load.run(plan)
    const after = await this.#settled(before.length)
    this.server.requireAlive()
    const cpuSeconds = hasProcesses ? cpuSecondsOf(after) - cpuSecondsOf(before) : undefined
    const sample = sampleOf(report, cpuSeconds)
    this.#rounds.push(sample)
    this.#lookAtMemory()
    this.server.forgetOutput()
    return sample
  }

  #tree() {
    return hasProcesses ? processTree(this.server.pid) : []
  }

  /** The tree once the programs of the round are gone: what they used is known then. */
  async #settled(processes: number) {
    const deadline = performance.now() + settleMs
    for (;;) {
      const tree = this.#tree()
      if (tree.length <= processes || performance.now() > deadline) return tree
      await pause(settlePollMs)
    }
  }

  #lookAtMemory(): void {
    if (!hasProcesses) return
    this.#peakMiB = Math.max(this.#peakMiB ?? 0, memoryMiBOf(this.#tree()))
  }
}

/**
 * The figures of a round.
 * @param cpuSeconds of the server's process tree; undefined where the system does not tell
 */
export function sampleOf(report: LoadReport, cpuSeconds: number | undefined): Sample {
  const answers = report.requests + report.drained + report.wrong
  const cpuKnown = cpuSeconds !== undefined && answers > 0
  return {
    rate: report.requests / report.seconds,
    p50Ms: report.p50Ms,
    p99Ms: report.p99Ms,
    maxMs: report.maxMs,
    errors: report.errors,
    wrong: report.wrong,
    cpuSecondsPer1000: cpuKnown ? (1000 * cpuSeconds) / answers : undefined,
    loadGeneratorCpu: report.cpuSeconds / report.seconds,
  }
}
