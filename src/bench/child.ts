/**
 * A process that the benchmark starts: the server under test, the load generator.
 *
 * Each leads a process group of its own, so that the Ctrl-C of a terminal reaches only the benchmark, which then ends
 * its children in order. What is started here is always ended by `stop`, which waits until it is gone.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'

/** A failure that is nobody's bug: the program, the server or the machine does not do what it should. */
export class BenchFailure extends Error {
  override readonly name = 'BenchFailure'
}

export interface ChildOptions {
  /** The whole environment. */
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
  /** Descriptors or pipes for 0, 1 and 2. */
  readonly stdio: readonly ('ignore' | 'pipe' | number)[]
}

export interface Child {
  readonly pid: number
  readonly stdin: Writable | null
  readonly stdout: Readable | null
  /** `exit status 2`, `SIGKILL`; undefined while it runs. */
  readonly ended: () => string | undefined
  /** Settles when it has ended. */
  readonly exited: Promise<void>
  /** TERM; a second one and KILL when it does not end. Settles when it is gone. */
  readonly stop: () => Promise<void>
}

/**
 * Between TERM and the next step. The server ends its programs in good order after the first, at once after the
 * second; a KILL would leave them behind, so it comes last.
 */
const stepMs = 4_000

const steps: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGTERM', 'SIGKILL']

/** Starts a command. @throws BenchFailure when it cannot be executed */
export async function startChild(
  [file = '', ...args]: readonly string[],
  { env, cwd, stdio }: ChildOptions,
): Promise<Child> {
  const child = spawn(file, args, { cwd, env, stdio: [...stdio], detached: true })
  let end: string | undefined
  const exited = new Promise<void>(resolve => {
    child.once('exit', (code, signal) => {
      end = signal ?? `exit status ${code}`
      resolve()
    })
  })
  const pid = await pidOf(child, file)
  let stopped: Promise<void> | undefined
  return {
    pid,
    stdin: child.stdin,
    stdout: child.stdout,
    ended: () => end,
    exited,
    stop: () => {
      stopped ??= stop(child, exited, () => end !== undefined)
      return stopped
    },
  }
}

function pidOf(child: ChildProcess, file: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', error =>
      reject(new BenchFailure(`${file} cannot be started: ${error.message}`, { cause: error })),
    )
    child.once('spawn', () => resolve(child.pid ?? 0))
  })
}

async function stop(
  child: ChildProcess,
  exited: Promise<void>,
  gone: () => boolean,
): Promise<void> {
  for (const signal of steps) {
    if (gone()) return
    child.kill(signal)
    const late = new AbortController()
    const step = pause(stepMs, undefined, { signal: late.signal }).catch(() => {})
    await Promise.race([exited, step])
    late.abort()
  }
  await exited
}
