/**
 * Peak memory of a child, which wait4 alone cannot tell.
 *
 * posix_spawn borrows our memory until exec, and Linux counts that as the child's: ru_maxrss is never
 * less than our own peak. So the child's VmHWM is read from /proc while it prints, at most once every
 * few milliseconds for the whole server: under one per cent of its time however many programs run.
 * Short programs between two samples stay unknown, which is said rather than guessed.
 */
import { readFileSync } from 'node:fs'

const betweenSamplesMs = 3

export class PeakMemory {
  #lastSample = 0
  #ownPeakKiB = 0

  /** VmHWM of a living process in KiB, or undefined when it is not the time or the process has gone. */
  sample(pid: number): number | undefined {
    const now = performance.now()
    if (now - this.#lastSample < betweenSamplesMs) return undefined
    this.#lastSample = now
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'latin1')
      const at = status.indexOf('VmHWM:')
      return at < 0 ? undefined : Number.parseInt(status.slice(at + 6, at + 30), 10)
    } catch {
      return undefined
    }
  }

  /** The peak to report: what wait4 said if it is above our own peak, else what was sampled. */
  settle(waitedKiB: number, sampledKiB: number | undefined): number | undefined {
    if (waitedKiB <= this.#ownPeakKiB) return sampledKiB
    this.#ownPeakKiB = process.resourceUsage().maxRSS
    return waitedKiB > this.#ownPeakKiB ? waitedKiB : sampledKiB
  }
}
