/**
 * The bench's end of `loop-delay.mjs`: asks the processes of a Postern for their event loop delay.
 *
 * Only processes that have announced themselves with a file get the signal. The worst process speaks for
 * the server: a request waits for the loop it landed on.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from './child.js'

export interface LoopDelay {
  readonly p99Ms: number
  readonly maxMs: number
}

export interface LoopDelayProbe {
  /** The delay since the last call, of the worst process; a new period begins. */
  readonly take: () => Promise<LoopDelay>
}

interface Report extends LoopDelay {
  readonly written: number
}

/** The probe of a server whose processes write into `directory`. */
export function loopDelayOf(directory: string): LoopDelayProbe {
  return {
    take: async () => {
      const pids = announced(directory)
      const reports = await Promise.all(pids.map(pid => ask(directory, pid)))
      return {
        p99Ms: Math.max(0, ...reports.map(report => report.p99Ms)),
        maxMs: Math.max(0, ...reports.map(report => report.maxMs)),
      }
    },
  }
}

function announced(directory: string): number[] {
  const names = readdirSync(directory).map(name => /^loop-delay-(\d+)\.json$/.exec(name)?.[1])
  return names.flatMap(pid => (pid === undefined ? [] : [Number(pid)]))
}

async function ask(directory: string, pid: number): Promise<Report> {
  const { written } = read(directory, pid)
  process.kill(pid, 'SIGUSR2')
  await until(
    () => read(directory, pid).written > written,
    () => `process ${pid} does not report its loop delay`,
  )
  return read(directory, pid)
}

function read(directory: string, pid: number): Report {
  return JSON.parse(readFileSync(join(directory, `loop-delay-${pid}.json`), 'utf8')) as Report
}
