/**
 * Lists of file actions for posix_spawn, made once for each combination of descriptors and directory.
 *
 * The C library asks for the limit of descriptors at every action it adds, so making a list costs seven
 * system calls; descriptor numbers come again and again. What grows: up to `mostLists` lists of a few
 * hundred bytes; beyond that lists are made for one start and given back.
 */
import type { ByteString } from '../gateway.js'
import type { Libc } from './libc.js'

/** Room for posix_spawn_file_actions_t (80 bytes in glibc). */
const listBytes = 128
const mostLists = 4_096

/** Descriptors that become 0, 1 and 2 of the child. */
export type Stdio = readonly [number, number, number]

export class FileActions {
  readonly #libc: Libc
  readonly #lists = new Map<ByteString, Map<number, Buffer>>()
  #count = 0

  constructor(libc: Libc) {
    this.#libc = libc
  }

  /**
   * The list for a start in `cwd`: stdio in place, everything above closed. `release` is called when the
   * start is over.
   */
  get(stdio: Stdio, cwd: ByteString): { list: Buffer; release: () => void } {
    const key = keyOf(stdio)
    const known = this.#lists.get(cwd)
    const list = key === undefined ? undefined : known?.get(key)
    if (list !== undefined) return { list, release: nothing }
    const made = this.#make(stdio, cwd)
    if (key === undefined || this.#count >= mostLists) {
      return { list: made, release: () => this.#libc.actionsDestroy(made) }
    }
    this.#count++
    if (known === undefined) this.#lists.set(cwd, new Map([[key, made]]))
    else known.set(key, made)
    return { list: made, release: nothing }
  }

  #make(stdio: Stdio, cwd: ByteString): Buffer {
    const list = Buffer.alloc(listBytes)
    this.#libc.actionsInit(list)
    for (const [to, fd] of stdio.entries()) this.#libc.actionsDup2(list, fd, to)
    this.#libc.actionsChdir(list, Buffer.from(`${cwd}\0`, 'latin1'))
    this.#libc.actionsCloseFrom(list, 3)
    return list
  }
}

const nothing = (): void => {}

/** One number for three descriptors, or undefined when they are too large for it. */
function keyOf([stdin, stdout, stderr]: Stdio): number | undefined {
  const largest = Math.max(stdin, stdout, stderr)
  return largest < 0x10000 ? (stdin * 0x10000 + stdout) * 0x10000 + stderr : undefined
}
