/**
 * The commands of `postern` beside `serve`, by their first word.
 *
 * Each is a module of its own, imported when it is asked for: what `serve` needs is all that `serve` loads.
 * A new command is a new entry here and a name in `command-names.ts`.
 */
import type { CommandName } from './command-names.js'

/** Runs a command with the words behind its name; settles with the exit code. */
export type Command = (
  words: readonly string[],
  version: string,
  env: NodeJS.ProcessEnv,
) => Promise<number>

/** Name → how its function is loaded. A Map, so that no word reaches the prototype of an object. */
export const commands: ReadonlyMap<string, () => Promise<Command>> = new Map<
  CommandName,
  () => Promise<Command>
>([
  ['call', async () => (await import('./call.js')).runCall],
  ['fcgi', async () => (await import('./fcgi.js')).runFcgi],
  ['wsgi', async () => (await import('./wsgi.js')).runWsgi],
  ['reload', async () => (await import('./reload.js')).runReload],
  ['bench', async () => (await import('./bench.js')).runBench],
])
