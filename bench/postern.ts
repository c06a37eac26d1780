/**
 * Starts the Postern that is measured, as a user would, with the probe of its event loop loaded into it.
 *
 * Every suite starts it here; what differs is the command line.
 */
import { join } from 'node:path'
import { startChild } from './child.js'
import { loopDelayOf } from './loop-delay-probe.js'
import { type RunningServer, serverOf } from './server.js'
import type { Site } from './site.js'

/** `postern serve …` on `port` of 127.0.0.1. @param args after the word `serve`; they have to say the port */
export async function startPostern(
  site: Site,
  directory: string,
  port: number,
  args: readonly string[],
): Promise<RunningServer> {
  const hook = join(import.meta.dirname, 'loop-delay.mjs')
  const child = await startChild(
    process.execPath,
    ['--import', hook, ...loaderOf(site.postern), site.postern, 'serve', ...args],
    {
      outputFile: join(directory, 'output.log'),
      cwd: directory,
      env: { POSTERN_BENCH_LOOP_DELAY: directory },
    },
  )
  return serverOf(port, child, loopDelayOf(directory))
}

/** Sources run through tsx: good enough to see whether it works, not to measure memory. */
function loaderOf(command: string): readonly string[] {
  return command.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : []
}
