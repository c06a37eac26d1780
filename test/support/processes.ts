/**
 * What processes and descriptors exist, read from /proc: the proof that nothing was left behind.
 *
 * Only looks, never signals. Linux is needed, as it is for the rows that these tests check.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { waitFor } from './wait-for.js'

interface Stat {
  readonly pid: number
  readonly state: string
  readonly parent: number
  readonly group: number
}

/** Whether the process exists and is not a zombie that its parent has yet to reap. */
export function isAlive(pid: number): boolean {
  const stat = statOf(pid)
  return stat !== undefined && stat.state !== 'Z'
}

/** Whether the pid is still taken, be it by a zombie. */
export function exists(pid: number): boolean {
  return statOf(pid) !== undefined
}

/**
 * Waits until the pid is free: the process has ended and has been reaped.
 * @throws Error when it still exists after `deadlineMs`
 */
export async function untilGone(pid: number, deadlineMs = 5_000): Promise<void> {
  await waitFor(`process ${pid} is gone`, () => !exists(pid), deadlineMs)
}

/** Waits until the process no longer runs; a zombie counts as ended (a grandchild is reaped by init, not by us). */
export async function untilEnded(pid: number, deadlineMs = 5_000): Promise<void> {
  await waitFor(`process ${pid} has ended`, () => !isAlive(pid), deadlineMs)
}

/** Pids of the direct children of this process, zombies included. */
export function children(parent: number = process.pid): number[] {
  return allStats()
    .filter(stat => stat.parent === parent)
    .map(stat => stat.pid)
}

/** Pids of every process below this one, zombies included. */
export function descendants(ancestor: number = process.pid): number[] {
  const stats = allStats()
  const found = [ancestor]
  for (const pid of found) {
    for (const stat of stats) if (stat.parent === pid) found.push(stat.pid)
  }
  return found.slice(1)
}

/** Pids of the running processes of a process group. */
export function groupMembers(group: number): number[] {
  return allStats()
    .filter(stat => stat.group === group && stat.state !== 'Z')
    .map(stat => stat.pid)
}

/** Command line of a process, for messages; empty when it is gone or a zombie. */
export function commandOf(pid: number): string {
  return (read(`/proc/${pid}/cmdline`) ?? '').replaceAll('\0', ' ').trim()
}

/** Open descriptors of this process: number → what it is (`socket:[123]`, `/tmp/x`, `pipe:[9]`). */
export function openDescriptors(): Map<number, string> {
  const open = new Map<number, string>()
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      open.set(Number(name), readlinkSync(`/proc/self/fd/${name}`))
    } catch {
      // The descriptor of the listing itself is closed by now.
    }
  }
  return open
}

/** Whether a descriptor of this process is closed when a program is executed. */
export function closesOnExec(fd: number): boolean {
  const flags = /^flags:\s+([0-7]+)$/m.exec(read(`/proc/self/fdinfo/${fd}`) ?? '')?.[1]
  return (Number.parseInt(flags ?? '0', 8) & 0o2000000) !== 0
}

/** A `kB` field of /proc/<pid>/status in bytes, for example VmRSS or VmHWM. */
export function memoryOf(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const line = (read(`/proc/${pid}/status`) ?? '')
    .split('\n')
    .find(text => text.startsWith(`${field}:`))
  if (line === undefined) throw new Error(`process ${pid} has no ${field}`)
  return Number.parseInt(line.slice(field.length + 1), 10) * 1024
}

/** Bytes that a process has handed to write(2) so far; 0 when it is gone. */
export function bytesWritten(pid: number): number {
  const line = /^wchar: (\d+)$/m.exec(read(`/proc/${pid}/io`) ?? '')
  return Number(line?.[1] ?? 0)
}

function allStats(): Stat[] {
  const stats: Stat[] = []
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    const stat = Number.isInteger(pid) ? statOf(pid) : undefined
    if (stat !== undefined) stats.push(stat)
  }
  return stats
}

/** Fields of /proc/<pid>/stat; the command in parentheses may itself hold spaces and parentheses. */
function statOf(pid: number): Stat | undefined {
  const text = read(`/proc/${pid}/stat`)
  if (text === undefined) return undefined
  const [state, parent, group] = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { pid, state: state ?? '', parent: Number(parent), group: Number(group) }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
