/**
 * The reading end of a pipe on the poller, as a PipeReader.
 *
 * Reads only when the poller says so, once per event, so the descriptor may stay blocking: with one
 * reader, readable means that a read returns. Nothing is kept here: each chunk is handed on as a buffer
 * of its own (`read-buffers.ts`).
 */
import { type Libc, setPipeSize } from './libc.js'
import { hungUp, type Poller, readable } from './poller.js'
import { type ReadBuffers, readBytes } from './read-buffers.js'
import type { PipeReader } from './spawner.js'

/** Reads of one event after the writer has hung up, so that one full pipe does not hold up the rest. */
const readsPerEvent = 16
const widePipeBytes = 1024 * 1024
const defaultPipeBytes = 64 * 1024

export class PolledReader implements PipeReader {
  readonly #libc: Libc
  readonly #poller: Poller
  readonly #buffers: ReadBuffers
  #fd: number
  #watched = false
  #paused = false
  #wide = false
  #data: (chunk: Buffer) => void = () => {}
  #end: () => void = () => {}
  readonly #beforeData: () => void

  /** `beforeData` is called whenever the writer is known to have written just now. */
  constructor(libc: Libc, poller: Poller, buffers: ReadBuffers, fd: number, beforeData = () => {}) {
    this.#libc = libc
    this.#poller = poller
    this.#buffers = buffers
    this.#fd = fd
    this.#beforeData = beforeData
  }

  start(data: (chunk: Buffer) => void, end: () => void): void {
    this.#data = data
    this.#end = end
    if (!this.#paused) this.#watch()
  }

  pause(): void {
    this.#paused = true
    this.#unwatch()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#watch()
  }

  recycle(chunk: Buffer): void {
    this.#buffers.recycle(chunk)
  }

  close(): void {
    if (this.#fd < 0) return
    this.#watched = false
    this.#poller.close(this.#fd)
    this.#fd = -1
  }

  #watch(): void {
    if (this.#watched || this.#fd < 0) return
    this.#watched = true
    this.#poller.add(this.#fd, readable, events => this.#ready(events))
  }

  #unwatch(): void {
    if (!this.#watched) return
    this.#watched = false
    this.#poller.remove(this.#fd)
  }

  #ready(events: number): void {
    // Without a writer left, read does not block: take the rest and the end of file in one go.
    const reads = events & hungUp ? readsPerEvent : 1
    for (let i = 0; i < reads && this.#watched; i++) {
      const bytes = this.#libc.read(this.#fd, this.#buffers.current, readBytes)
      if (bytes <= 0) {
        this.close()
        this.#end()
        return
      }
      this.#beforeData()
      if (bytes >= defaultPipeBytes) this.#widen()
      this.#data(this.#buffers.take(bytes))
    }
  }

  /** A program that fills its pipe gets a larger one: fewer wake-ups on both sides. */
  #widen(): void {
    if (this.#wide) return
    this.#wide = true
    this.#libc.fcntl(this.#fd, setPipeSize, widePipeBytes)
  }
}
