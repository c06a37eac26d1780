/**
 * What only the peer comparison asks of /proc: what the whole machine used, and whether a server's children are
 * counted at all.
 *
 * Trees of processes and their CPU are `src/bench/process-tree.ts`. A parent that ignores SIGCHLD (fcgiwrap,
 * Apache's mod_cgid) lets the kernel reap, and the kernel then drops the numbers: `countsChildren` finds those.
 */
import { readFileSync } from 'node:fs'
import { processTree, readProc, ticksPerSecond } from '../src/bench/process-tree.js'

/** Bit n − 1 stands for signal n; SIGCHLD is 17. */
const SIGCHLD_BIT = 1n << 16n

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
  return parseBusyTicks(readFileSync('/proc/stat', 'latin1')) / ticksPerSecond
}

/** False when the CPU of a tree misses the programs of a server that has its children reaped by the kernel. */
export function countsChildren(roots: readonly number[]): boolean {
  const tree = processTree(...roots)
  return !tree.some(({ pid }) => parseIgnoresChildren(readProc(`${pid}/status`) ?? ''))
}
