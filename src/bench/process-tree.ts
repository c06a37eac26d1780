/**
 * What a server costs: CPU time of a process and all its descendants, from /proc (Linux only).
 *
 * CPU of children that have ended is in `cutime` and `cstime` of the parent that waited for them, so a snapshot
 * counts every CGI program, provided nothing is in flight when it is taken. Grows with the number of processes of
 * the machine, all of which are read for each snapshot.
 */
import { readdirSync, readFileSync } from 'node:fs'

/** One line of /proc/PID/stat; CPU in clock ticks, own and waited-for children's together. */
export interface ProcessStat {
  readonly pid: number
  readonly parent: number
  readonly ticks: number
}

/** Clock ticks per second in /proc: USER_HZ, 100 on every Linux that runs Node. */
export const ticksPerSecond = 100

/** Whether this system tells what a process costs. */
export const hasProcesses = process.platform === 'linux'

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
    if (siblings === undefined) children.set(stat.parent, [stat])
    else siblings.push(stat)
  }
  const found = new Map(all.filter(stat => roots.includes(stat.pid)).map(stat => [stat.pid, stat]))
  // The map grows while it is gone through.
  for (const { pid } of found.values()) {
    for (const child of children.get(pid) ?? []) found.set(child.pid, child)
  }
  return [...found.values()]
}

/** The trees below processes, these included; what is gone is left out. */
export function processTree(...roots: readonly number[]): readonly ProcessStat[] {
  const texts = readdirSync('/proc').map(name => (/^\d/.test(name) ? readProc(`${name}/stat`) : ''))
  return treeOf(
    roots,
    texts.flatMap(text => (text ? [parseStat(text)] : [])),
  )
}

/** CPU seconds so far of a tree, ended and waited-for processes included. */
export function cpuSecondsOf(tree: readonly ProcessStat[]): number {
  return tree.reduce((sum, { ticks }) => sum + ticks, 0) / ticksPerSecond
}

/** A file below /proc; undefined when the process has ended meanwhile. */
export function readProc(path: string): string | undefined {
  try {
    return readFileSync(`/proc/${path}`, 'latin1')
  } catch {
    return undefined
  }
}
