/**
 * Which servers of this user run, by the folder they were started in: what `postern reload` looks up.
 *
 * One file per process in a private folder, named by a digest of the folder and the pid. It holds when
 * the process began, so that another process with the same number is never taken for it. Never fails a
 * server: what cannot be written is said in `problem`.
 */
import { createHash } from 'node:crypto'
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { isAbsolute, join } from 'node:path'

export interface PidFile {
  /** Why there is none, or undefined. */
  readonly problem: string | undefined
  remove(): void
}

/** A server as its file tells of it. */
export interface FoundServer {
  readonly pid: number
  /** The process of the file is there. */
  readonly running: boolean
  /** Removes the file. */
  forget(): void
}

/** Notes that the process `pid` serves, started in `directory`. */
export function writePidFile(directory: string, pid: number, env = process.env): PidFile {
  try {
    const folder = openFolder(env)
    const path = join(folder, `${keyOf(directory)}-${pid}.pid`)
    rmSync(path, { force: true })
    writeFileSync(path, `${beginOf(pid) ?? ''}\n${directory}\n`, { flag: 'wx', mode: 0o600 })
    return { problem: undefined, remove: () => rmSync(path, { force: true }) }
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    return { problem: `postern reload will not find this process: ${problem}`, remove: () => {} }
  }
}

/**
 * The servers that were started in `directory`, or anywhere with `undefined`.
 * @throws Error when the folder of the files cannot be trusted
 */
export function findServers(directory: string | undefined, env = process.env): FoundServer[] {
  const folder = openFolder(env)
  const key = directory === undefined ? '' : `${keyOf(directory)}-`
  const found: FoundServer[] = []
  for (const name of readdirSync(folder)) {
    const pid = Number(/^[0-9a-f]{32}-(\d+)\.pid$/.exec(name)?.[1] ?? Number.NaN)
    if (!name.startsWith(key) || !Number.isSafeInteger(pid)) continue
    const path = join(folder, name)
    const [began] = readFileSync(path, 'utf8').split('\n', 1)
    found.push({
      pid,
      running: isSame(pid, began ?? ''),
      forget: () => rmSync(path, { force: true }),
    })
  }
  return found
}

/** The private folder, made where it is missing. */
function openFolder({ XDG_RUNTIME_DIR: runtime }: NodeJS.ProcessEnv): string {
  const uid = process.getuid?.() ?? 0
  const folder =
    runtime !== undefined && isAbsolute(runtime)
      ? join(runtime, 'postern')
      : join(tmpdir(), `postern-${uid}`)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const stats = lstatSync(folder)
  // Anybody may make a folder of this name in /tmp, and would choose whom we signal.
  if (!stats.isDirectory() || stats.uid !== uid || (stats.mode & 0o077) !== 0) {
    throw new Error(`${folder} is not a folder of this user alone; remove it`)
  }
  return folder
}

function keyOf(directory: string): string {
  return createHash('sha256').update(realpathSync(directory)).digest('hex').slice(0, 32)
}

/** When the process began, in ticks of the kernel's clock; undefined when it is gone or there is no /proc. */
function beginOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The command in parentheses may hold spaces; starttime is the 20th field behind it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}

function isSame(pid: number, began: string): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  return (beginOf(pid) ?? '') === began
}
