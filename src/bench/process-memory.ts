/**
 * What a server holds in memory: of a process tree, from /proc (Linux only).
 *
 * RSS summed over workers counts every shared page once per worker, and PSS gets smaller when another program runs
 * the same node. So memory of the tree's own is taken as PSS, and pages of files (text, libraries) once per program.
 */
import { readlinkSync } from 'node:fs'
import { type ProcessStat, readProc } from './process-tree.js'

/** One process; sizes in KiB. */
export interface ProcessMemory {
  /** Path of the executable. */
  readonly program: string
  /** Anonymous and shared memory, divided among the processes that share it. */
  readonly own: number
  /** Resident pages of files. */
  readonly file: number
}

/** Reads /proc/PID/smaps_rollup and /proc/PID/status of one process. */
export function parseMemory(program: string, smaps: string, status: string): ProcessMemory {
  return {
    program,
    own: field(smaps, /^Pss_Anon:\s+(\d+) kB$/m) + field(smaps, /^Pss_Shmem:\s+(\d+) kB$/m),
    file: field(status, /^RssFile:\s+(\d+) kB$/m),
  }
}

/** The sum in MiB: what is the processes' own, and the largest file share of each program. */
export function sumMemory(processes: readonly ProcessMemory[]): number {
  const files = new Map<string, number>()
  for (const { program, file } of processes) {
    files.set(program, Math.max(file, files.get(program) ?? 0))
  }
  const own = processes.reduce((sum, process) => sum + process.own, 0)
  return [...files.values()].reduce((sum, file) => sum + file, own) / 1024
}

/** Memory of a tree in MiB. */
export function memoryMiBOf(tree: readonly ProcessStat[]): number {
  return sumMemory(
    tree.map(({ pid }) =>
      parseMemory(
        programOf(pid),
        readProc(`${pid}/smaps_rollup`) ?? '',
        readProc(`${pid}/status`) ?? '',
      ),
    ),
  )
}

function field(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1]
  return found === undefined ? 0 : Number(found)
}

function programOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`)
  } catch {
    return ''
  }
}
