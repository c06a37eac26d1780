/**
 * The load generator's process as the benchmark sees it: plans in, reports out, one round at a time.
 */
import { createInterface } from 'node:readline'
import { BenchFailure, startChild } from './child.js'
import type { LoadPlan, LoadReport } from './load.js'

export interface LoadGenerator {
  /** Runs one round. @throws BenchFailure when the generator has ended */
  readonly run: (plan: LoadPlan) => Promise<LoadReport>
  readonly stop: () => Promise<void>
}

/** Starts the process. @param command program and arguments of `load-process.ts` */
export async function startLoadGenerator(
  command: readonly string[],
  env: NodeJS.ProcessEnv,
  cwd: string,
): Promise<LoadGenerator> {
  const child = await startChild(command, { env, cwd, stdio: ['pipe', 'pipe', 2] })
  const { stdin, stdout } = child
  if (stdin === null || stdout === null) throw new BenchFailure('the load generator has no pipes')
  // A generator that has ended is reported by the missing line.
  stdin.on('error', () => {})
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
  return {
    run: async plan => {
      stdin.write(`${JSON.stringify(plan)}\n`)
      const line = await lines.next()
      if (line.done === true) throw new BenchFailure(`the load generator has ended`)
      return JSON.parse(line.value) as LoadReport
    },
    stop: child.stop,
  }
}
