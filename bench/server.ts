/**
 * A server under measurement, whatever it is made of, and what starting one takes: a free port, a config from
 * a template, the child processes that are its tree.
 *
 * May grow: what several contenders share. Not: anything that knows one of them.
 */
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type ForegroundChild, startChild, until } from './child.js'
import type { LoopDelayProbe } from './loop-delay-probe.js'
import { fillTemplate, readTemplate, type Site } from './site.js'

export interface RunningServer {
  readonly port: number
  /** Roots of the process trees that make up the server. */
  readonly pids: readonly number[]
  readonly loopDelay: LoopDelayProbe | undefined
  /** What the server said when it ended by itself; undefined while it runs. */
  readonly ended: () => string | undefined
  readonly stop: () => Promise<void>
}

export interface Contender {
  readonly name: string
  /** `own` is compared with the best `peer`. */
  readonly side: 'own' | 'peer'
  readonly start: (site: Site) => Promise<RunningServer>
}

export const isRoot = process.getuid?.() === 0

/** A server that is one program in the foreground; its output goes to `output.log` in `directory`. */
export async function single(
  directory: string,
  port: number,
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<RunningServer> {
  const options = { outputFile: join(directory, 'output.log'), cwd: directory, env }
  return serverOf(port, await startChild(file, args, options))
}

/** Starts a program in `directory`. @param output file name below it for what the program prints */
export function startOne(
  directory: string,
  file: string,
  args: readonly string[],
  output: string,
): Promise<ForegroundChild> {
  return startChild(file, args, { outputFile: join(directory, output), cwd: directory })
}

/** A child as the server that listens on `port`. */
export function serverOf(
  port: number,
  { pid, ended, stop }: ForegroundChild,
  loopDelay?: LoopDelayProbe,
): RunningServer {
  return { port, pids: [pid], loopDelay, ended, stop }
}

/**
 * Starts the server in front of programs that run already; together they are the server. They are stopped when
 * it does not start: what a contender has not handed out yet, nobody else can stop.
 */
export async function behind(
  programs: readonly ForegroundChild[],
  start: () => Promise<RunningServer>,
): Promise<RunningServer> {
  try {
    const server = await start()
    return {
      ...server,
      pids: [...server.pids, ...programs.map(({ pid }) => pid)],
      ended: () =>
        [server, ...programs].map(({ ended }) => ended()).find(text => text !== undefined),
      stop: async () => {
        await server.stop()
        await stopAll(programs)
      },
    }
  } catch (error) {
    await stopAll(programs)
    throw error
  }
}

/** Fills the template `name` of `peers/`; @DIR@ and @ROOT@ are known. Returns the path of the config. */
export function writeConfig(
  site: Site,
  directory: string,
  name: string,
  values: Readonly<Record<string, string>>,
): string {
  const path = join(directory, name)
  const text = fillTemplate(readTemplate(name), { ...values, DIR: directory, ROOT: site.root })
  writeFileSync(path, text)
  return path
}

/** The peers cannot be asked for port 0, so one that was free a moment ago has to do. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await until(
    () => server.listening,
    () => 'no free port',
  )
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no free port')
  await new Promise(resolve => server.close(resolve))
  return address.port
}

/** Ends them one after the other. */
export async function stopAll(programs: readonly ForegroundChild[]): Promise<void> {
  for (const program of programs) await program.stop()
}
