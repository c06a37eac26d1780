#!/usr/bin/env node
/**
 * The command `postern`: which part of it is meant, and the exit code.
 *
 * Exit codes: 0 after an orderly end, 1 for a bug, 2 for a mistake in flags or configuration (one line on
 * stderr), 130 and 143 when a second signal ended it. What a part needs is imported by that part: the
 * time to the first answer is mostly time to load modules.
 */
import cluster from 'node:cluster'
import { ConfigError } from '../server/config-error.js'
import { version } from '../version.js'
import { commands } from './commands.js'

async function run(words: readonly string[]): Promise<number> {
  if (cluster.isWorker) {
    const { runWorker } = await import('./cluster-worker.js')
    return runWorker(process.env)
  }
  const load = commands.get(words[0] ?? '')
  if (load !== undefined) return (await load())(words.slice(1), version, process.env)
  const flags = await readWords(words)
  if (flags === undefined) return 0
  const { serve } = await import('./serve.js')
  return serve(flags, version, process.env)
}

async function readWords(words: readonly string[]) {
  // yargs takes a quarter of the whole start; without words there is nothing for it to do.
  if (words.length === 0) return { directory: undefined, config: undefined, overrides: {} }
  const { readFlags } = await import('./flags.js')
  return readFlags(words, version)
}

function report(error: unknown): number {
  if (error instanceof ConfigError) {
    process.stderr.write(`postern: ${error.message}\n`)
    return 2
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  process.stderr.write(`postern: this is a bug, please report it: ${text}\n`)
  return 1
}

process.exit(await run(process.argv.slice(2)).catch(report))
