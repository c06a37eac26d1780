/**
 * Real pipes without FFI: named pipes, made a batch at a time by mkfifo(1), opened and unlinked.
 *
 * `child_process` gives a child socket pairs, on which `echo x >/dev/stderr` fails with ENXIO. The pool
 * holds up to one batch of unused names in a private directory, removed with it by `close`.
 */
import { execFile } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, rmSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const batch = 96
const { O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants

/** Two ends of one pipe; ours is non-blocking, the child's is not. */
export interface PipeEnds {
  readonly ours: number
  readonly childs: number
}

export class FifoPool {
  readonly #directory = mkdtempSync(join(tmpdir(), 'postern-pipes-'))
  #names: string[] = []
  #made = 0
  #making: Promise<void> | undefined
  readonly #remove = (): void => this.close()

  constructor() {
    process.once('exit', this.#remove)
  }

  /** A fresh pipe whose reader or writer is ours. @throws the error of mkfifo or open. */
  async open(weRead: boolean): Promise<PipeEnds> {
    let name = this.#names.pop()
    while (name === undefined) {
      this.#making ??= this.#make()
      await this.#making
      name = this.#names.pop()
    }
    return openEnds(join(this.#directory, name), weRead)
  }

  /** Removes the directory; open pipes live on. */
  close(): void {
    process.off('exit', this.#remove)
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async #make(): Promise<void> {
    const names = Array.from({ length: batch }, () => String(this.#made++))
    try {
      await promisify(execFile)('mkfifo', ['-m', '600', ...names], { cwd: this.#directory })
      this.#names.push(...names)
    } finally {
      this.#making = undefined
    }
  }
}

/** Opening for both at first keeps the one-sided opens from blocking (Linux, fifo(7)). */
function openEnds(path: string, weRead: boolean): PipeEnds {
  const fds: number[] = []
  try {
    const both = openSync(path, O_RDWR | O_NONBLOCK)
    fds.push(both)
    const childs = openSync(path, weRead ? O_WRONLY : O_RDONLY)
    fds.push(childs)
    const ours = openSync(path, (weRead ? O_RDONLY : O_WRONLY) | O_NONBLOCK)
    closeSync(both)
    return { ours, childs }
  } catch (error) {
    for (const fd of fds) closeSync(fd)
    throw error
  } finally {
    unlinkSync(path)
  }
}
