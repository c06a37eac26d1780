/**
 * Standard output and standard error as sinks of whole lines that never block a request.
 *
 * Lines that arrive within a few milliseconds, or while a write is under way, are joined. The buffer is bounded: when
 * nobody reads for too long, lines are dropped rather than memory filled. A reader that has gone (EPIPE)
 * is not an error of the server: what is written from then on is nobody's.
 */
import { fstatSync } from 'node:fs'
import sonicBoom from 'sonic-boom'

export interface Output {
  /** Takes whole lines, each with its line feed. */
  write(lines: string): void
  /** Settles when everything is written or cannot be, at the latest after a second. */
  flush(): Promise<void>
}

/** Writes to a pipe up to this size are never mixed with those of another process (POSIX PIPE_BUF on Linux). */
const atomicWriteBytes = 4096

/** What is written to a file lands as a whole: fewer and larger writes are cheaper. */
const fileWriteBytes = 64 * 1024

/** Lines of this time leave together: under load a write for each costs more than making it. */
const gatherMs = 5

const mostWaitingBytes = 16 * 1024 * 1024

const flushDeadlineMs = 1000

/** The sink on an open descriptor, 1 or 2 in production; it is never closed. */
export function openOutput(fd: number): Output {
  const mostBytes = isFile(fd) ? fileWriteBytes : atomicWriteBytes
  const stream = new sonicBoom.SonicBoom({
    fd,
    sync: false,
    minLength: 0,
    maxWrite: mostBytes,
    maxLength: mostWaitingBytes,
  })
  let gone = false
  let gathered = ''
  let timer: NodeJS.Timeout | undefined
  const send = (): void => {
    clearTimeout(timer)
    timer = undefined
    if (!gone && gathered !== '') stream.write(gathered)
    gathered = ''
  }
  stream.on('error', () => {
    gone = true
  })
  return {
    write: lines => {
      gathered += lines
      if (gathered.length > mostBytes) send()
      else timer ??= setTimeout(send, gatherMs)
    },
    flush: () =>
      new Promise(resolve => {
        send()
        if (gone) return resolve()
        const deadline = setTimeout(resolve, flushDeadlineMs)
        stream.flush(() => {
          clearTimeout(deadline)
          resolve()
        })
      }),
  }
}

function isFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile()
  } catch {
    return false
  }
}
