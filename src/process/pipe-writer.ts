/**
 * The writing end of a pipe on the poller, as a PipeWriter.
 *
 * The descriptor is non-blocking. What the pipe does not take at once waits here: at most the chunk that
 * `write` answered false to, because the caller then waits for `drained`. EPIPE is news, not an error:
 * a program need not read its body (RFC 3875 §4.2).
 */
import { constants } from 'node:os'
import { type Libc, setPipeSize } from './libc.js'
import { type Poller, writable } from './poller.js'
import type { PipeWriter } from './spawner.js'

const widePipeBytes = 256 * 1024

export class PolledWriter implements PipeWriter {
  readonly #libc: Libc
  readonly #poller: Poller
  #fd: number
  #waiting: Buffer[] = []
  #ending = false
  #wide = false
  #drained: () => void = () => {}
  #gone: () => void = () => {}

  constructor(libc: Libc, poller: Poller, fd: number) {
    this.#libc = libc
    this.#poller = poller
    this.#fd = fd
  }

  onDrain(drained: () => void): void {
    this.#drained = drained
  }

  onGone(gone: () => void): void {
    this.#gone = gone
  }

  write(chunk: Buffer): boolean {
    if (this.#fd < 0 || this.#ending) return true
    if (this.#waiting.length > 0) {
      this.#waiting.push(chunk)
      return false
    }
    const rest = this.#tryWrite(chunk)
    if (rest === undefined) return true
    this.#waiting.push(rest)
    this.#watch()
    return false
  }

  end(): void {
    this.#ending = true
    if (this.#waiting.length === 0) this.close()
  }

  close(): void {
    if (this.#fd < 0) return
    this.#poller.close(this.#fd)
    this.#fd = -1
    this.#waiting = []
  }

  #watch(): void {
    this.#poller.add(this.#fd, writable, () => this.#flush())
  }

  #flush(): void {
    for (;;) {
      const chunk = this.#waiting.shift()
      if (chunk === undefined) break
      const rest = this.#tryWrite(chunk)
      if (rest === undefined) continue
      this.#waiting.unshift(rest)
      return
    }
    if (this.#fd < 0) return
    this.#poller.remove(this.#fd)
    if (this.#ending) this.close()
    this.#drained()
  }

  /** Once: a body that fills its pipe gets a larger one, and there are fewer wake-ups on both sides. */
  #widen(): boolean {
    if (this.#wide) return false
    this.#wide = true
    return this.#libc.fcntl(this.#fd, setPipeSize, widePipeBytes) > 0
  }

  /** Writes what fits; answers what is left, or undefined when all is taken or the reader is gone. */
  #tryWrite(chunk: Buffer): Buffer | undefined {
    let at = 0
    while (at < chunk.length) {
      const part = at === 0 ? chunk : chunk.subarray(at)
      const bytes = this.#libc.write(this.#fd, part, part.length)
      if (bytes >= 0) {
        at += bytes
        continue
      }
      const { EAGAIN, EINTR } = constants.errno
      const errno = this.#libc.errno()
      if (errno === EINTR) continue
      if (errno === EAGAIN) {
        if (this.#widen()) continue
        return chunk.subarray(at)
      }
      this.close()
      this.#gone()
      return undefined
    }
    return undefined
  }
}
