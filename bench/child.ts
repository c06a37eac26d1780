/**
 * A program in the foreground, as a child of the bench: started in its own process group with its output in
 * a file, ended by the id of that group.
 *
 * Knows nothing of servers. What is started here never outlives the bench: `stop` waits for the end of the
 * program, TERM first and KILL after `GRACE_MS`.
 */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

export interface ChildOptions {
  /** Gets stdout and stderr. */
  readonly outputFile: string
  readonly cwd: string
  /** Added to the bench's own environment. */
  readonly env?: Readonly<Record<string, string>>
}

export interface ForegroundChild {
  readonly pid: number
  /** What the program did, when it has already ended; undefined while it runs. */
  readonly ended: () => string | undefined
  /** Ends the whole group and waits for it; does nothing when it has ended. */
  readonly stop: () => Promise<void>
}

const GRACE_MS = 5_000
/** Characters of a program's output that an error shows. */
const OUTPUT_SHOWN = 2_000

/** Starts `file`; throws when it cannot be executed. */
export async function startChild(
  file: string,
  args: readonly string[],
  options: ChildOptions,
): Promise<ForegroundChild> {
  const output = openSync(options.outputFile, 'a')
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', output, output],
    detached: true,
  })
  closeSync(output)
  const pid = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('spawn', () => resolve(child.pid ?? 0))
  })
  let stopped: Promise<void> | undefined
  let end: NodeJS.Signals | number | undefined
  const exited = new Promise<void>(resolve => {
    child.once('exit', (code, signal) => {
      end = signal ?? code ?? 0
      resolve()
    })
  })
  return {
    pid,
    ended: () => {
      if (end === undefined) return undefined
      return `${file} ended (${end}): ${readFileSync(options.outputFile, 'utf8').slice(-OUTPUT_SHOWN)}`
    },
    // Once only: after its end the id of the group may belong to others.
    stop: () => {
      stopped ??= stopGroup(pid, exited)
      return stopped
    },
  }
}

/** Waits for `condition`, asking every 20 ms; throws what `explain` says after `limitMs`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  explain: () => string,
  limitMs = 15_000,
): Promise<void> {
  const deadline = performance.now() + limitMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(explain())
    await delay(20)
  }
}

async function stopGroup(pid: number, exited: Promise<void>): Promise<void> {
  signalGroup(pid, 'SIGTERM')
  const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), GRACE_MS)
  await exited
  clearTimeout(timer)
  // The leader may end before its workers.
  const deadline = performance.now() + GRACE_MS
  while (signalGroup(pid, performance.now() > deadline ? 'SIGKILL' : 0)) await delay(20)
}

/** False when no process of the group is left. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pid, signal)
    return true
  } catch {
    return false
  }
}
