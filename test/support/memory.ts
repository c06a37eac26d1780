/**
 * Bodies larger than memory would like, and how much a process has grown by them.
 */
import { writeFileSync } from 'node:fs'
import { memoryOf } from './processes.js'
import type { RawConnection } from './raw-http.js'

const MiB = 1024 * 1024

/** Size of a large body in bytes: 128 MiB, or 1 GiB with POSTERN_LARGE=1. */
export const largeBytes = process.env.POSTERN_LARGE === '1' ? 1024 * MiB : 128 * MiB

/** How long one of them may take. */
export const largeDeadlineMs = 300_000

/** What a process may grow by while one goes through it: less than it, and more than a newer node leaves to its collector. */
export const growthLimit = 96 * MiB

const piece = Buffer.alloc(256 * 1024, 'postern ')

/** Gives a function: resident memory at the peak since the call before, above what it was then, in bytes. */
export function growthOf(pid: number): () => number {
  let before = resetPeak(pid)
  return () => {
    const grown = memoryOf(pid, 'VmHWM') - before
    before = resetPeak(pid)
    return grown
  }
}

/** Makes the peak what is resident now, and gives that. */
function resetPeak(pid: number): number {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
  return memoryOf(pid, 'VmRSS')
}

/** Sends `largeBytes` in pieces, each as `wrap` makes it, as fast as they are taken. */
export async function pour(
  connection: RawConnection,
  wrap: (piece: Buffer) => Buffer,
): Promise<void> {
  for (let sent = 0; sent < largeBytes; sent += piece.length) {
    if (!connection.send(wrap(piece))) await connection.drained(largeDeadlineMs)
  }
}
