/**
 * The command `bench`: flags → one benchmark → text or JSON on stdout. Progress is on stderr.
 *
 * The first INT or TERM ends the measuring and prints what there is so far; what was started is ended in good order
 * in any case, so a second signal changes nothing. Exit codes: 0, 1 when something could not be measured, 2 for a
 * mistake in flags, 130 and 143 when a signal ended it.
 */
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BenchFailure } from '../bench/child.js'
import { renderJson, renderText } from '../bench/render.js'
import type { BenchResult } from '../bench/result.js'
import { type BenchSurroundings, runModes } from '../bench/run.js'
import { type BenchFlags, readBenchFlags } from './bench-flags.js'

const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const

type StopSignal = keyof typeof exitCodes

/**
 * Runs `postern bench`.
 * @returns the exit code
 * @throws ConfigError for flags that are not understood
 */
export async function runBench(
  words: readonly string[],
  version: string,
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const flags = readBenchFlags(words)
  if (flags === undefined) return 0
  // A reader that has gone (EPIPE) must not keep the servers from being ended.
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
  const stop = new AbortController()
  const onSignal = (signal: StopSignal): void => {
    if (!stop.signal.aborted) say('ending; what was measured so far follows')
    stop.abort(signal)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  try {
    await print(flags, await runModes(flags.options, surroundings(version, env, stop.signal)))
    return stop.signal.aborted ? exitCodes[stop.signal.reason as StopSignal] : 0
  } catch (error) {
    if (!(error instanceof BenchFailure)) throw error
    say(`postern: ${error.message}`)
    return 1
  } finally {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}

function surroundings(
  version: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): BenchSurroundings {
  // The same Node with the same loaders, so that the command measures itself from its sources too.
  const node = [process.execPath, ...process.execArgv]
  const suffix = extname(import.meta.filename)
  const program = (path: string): string => fileURLToPath(new URL(path + suffix, import.meta.url))
  return {
    command: [...node, program('./main')],
    loadCommand: [...node, program('../bench/load-process')],
    env,
    version,
    signal,
    progress: say,
  }
}

/** Settles when the text is written: the process exits right after. */
function print({ json }: BenchFlags, result: BenchResult): Promise<void> {
  const text = json ? renderJson(result) : renderText(result)
  return new Promise(resolve => process.stdout.write(text, () => resolve()))
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}
