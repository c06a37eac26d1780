/**
 * What a server costs: CPU time of a process and all its descendants, from /proc (Linux only).
 *
 * CPU of children that have ended is in `cutime` and `cstime` of the parent that reaped them, so a snapshot
 * counts every CGI program, provided nothing is in flight when it is taken. A parent that ignores SIGCHLD
 * (fcgiwrap, Apache's mod_cgid) lets the kernel reap, and the kernel then drops the numbers: `countsChildren`
 * finds those.
 */
import { readdirSync, readFileSync } from 'node:fs'

/** One line of /proc/PID/stat; CPU in clock ticks, own and reaped children's together. */
export interface ProcessStat {
  readonly pid: number
  readonly parent: number
  readonly ticks: number
}

/** Clock ticks per second in /proc: USER_HZ, 100 on every Linux that runs Node. */
const TICKS_PER_SECOND = 100
/** Bit n − 1 stands for signal n; SIGCHLD is 17. */
const SIGCHLD_BIT = 1n << 16n

/** Reads /proc/PID/stat; the name in parentheses may hold spaces and parentheses itself (proc(5)). */
export function parseStat(text: string): ProcessStat {
  const afterName = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(afterName[index]), 0)
  const stat = { pid: Number.parseInt(text, 10), parent: Number(afterName[1]), ticks }
  if (Number.isNaN(stat.pid + stat.parent + stat.ticks)) throw new Error(`no stat line: ${text}`)
  return stat
}

/** The processes of `all` that are one of `roots` or descend from one. */
export function treeOf(
  roots: readonly number[],
  all: readonly ProcessStat[],
): readonly ProcessStat[] {
  const children = new Map<number, ProcessStat[]>()
  for (const stat of all) {
    const siblings = children.get(stat.parent)
    if (siblings) siblings.push(stat)
    else children.set(stat.parent, [stat])
  }
  const found = new Map(all.filter(stat => roots.includes(stat.pid)).map(stat => [stat.pid, stat]))
  for (const { pid } of found.values()) {
    for (const child of children.get(pid) ?? []) found.set(child.pid, child)
  }
  return [...found.values()]
}

/** Whether the process of this /proc/PID/status ignores SIGCHLD. */
export function parseIgnoresChildren(text: string): boolean {
  const mask = /^SigIgn:\s+([0-9a-f]+)$/m.exec(text)?.[1]
  return mask !== undefined && (BigInt(`0x${mask}`) & SIGCHLD_BIT) !== 0n
}

/** Ticks that the machine was busy since boot, from /proc/stat: everything but idle and iowait. */
export function parseBusyTicks(text: string): number {
  const fields = text.slice(0, text.indexOf('\n')).trim().split(/\s+/).slice(1, 9).map(Number)
  return fields.reduce((sum, ticks, index) => (index === 3 || index === 4 ? sum : sum + ticks), 0)
}

/** CPU seconds of the whole machine since boot. */
export function machineCpuSeconds(): number {
  return parseBusyTicks(readFileSync('/proc/stat', 'latin1')) / TICKS_PER_SECOND
}

/** CPU seconds so far of the trees below `roots`, reaped children included. */
export function treeCpuSeconds(roots: readonly number[]): number {
  return treeOf(roots, allProcesses()).reduce((sum, { ticks }) => sum + ticks, 0) / TICKS_PER_SECOND
}

/** False when `treeCpuSeconds` misses the programs of a server that has its children reaped by the kernel. */
export function countsChildren(roots: readonly number[]): boolean {
  const tree = treeOf(roots, allProcesses())
  return !tree.some(({ pid }) => parseIgnoresChildren(readProc(`${pid}/status`) ?? ''))
}

/** Every process of the machine. */
export function allProcesses(): ProcessStat[] {
  const texts = readdirSync('/proc').map(name => (/^\d/.test(name) ? readProc(`${name}/stat`) : ''))
  return texts.flatMap(text => (text ? [parseStat(text)] : []))
}

/** A file below /proc; undefined when the process has ended meanwhile. */
export function readProc(path: string): string | undefined {
  try {
    return readFileSync(`/proc/${path}`, 'latin1')
  } catch {
    return undefined
  }
}
