/**
 * What the system tells about a running worker, from /proc: its memory, and whether it waits for requests.
 *
 * Answers "unknown" where there is no /proc or it may not be read; nobody depends on more than that.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** accept and accept4 by machine, as in the kernel's tables. */
const acceptCalls: Readonly<Record<string, readonly string[]>> = {
  x64: ['43', '288'],
  arm64: ['202', '242'],
  riscv64: ['202', '242'],
  loong64: ['202', '242'],
}

/** Resident memory in bytes; 0 when unknown. */
export function residentBytes(pid: number): number {
  // Not statm: that counts in pages, and their size is not to be had here.
  const status = read(pid, 'status')
  const at = status.indexOf('VmRSS:')
  return at < 0 ? 0 : Number.parseInt(status.slice(at + 6, at + 30), 10) * 1024
}

/**
 * Whether the process sits in an accept on descriptor 0: it has nothing to do. False also when unknown,
 * for one that waits otherwise (epoll) or whose children do the work.
 */
export function isAccepting(pid: number): boolean {
  const [call = '', descriptor] = read(pid, 'syscall').split(' ', 2)
  return descriptor === '0x0' && (acceptCalls[process.arch] ?? []).includes(call)
}

/**
 * Whether the process waits for connections at its descriptor 0, in accept or by epoll. False also when
 * unknown: for one that uses poll or select, or whose children do the work.
 */
export function isListening(pid: number): boolean {
  if (isAccepting(pid)) return true
  const inode = /^socket:\[(\d+)\]$/.exec(link(pid, 0))?.[1]
  if (inode === undefined) return false
  // A program may have made copies of descriptor 0: its inode is the same.
  const watched = new RegExp(`^tfd:.*\\bino:${Number(inode).toString(16)}\\b`, 'm')
  return descriptorsOf(pid).some(
    fd => link(pid, fd) === 'anon_inode:[eventpoll]' && watched.test(read(pid, `fdinfo/${fd}`)),
  )
}

function descriptorsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map(Number)
  } catch {
    return []
  }
}

function link(pid: number, fd: number): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`)
  } catch {
    return ''
  }
}

function read(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1')
  } catch {
    return ''
  }
}
