/**
 * Memory for posix_spawn calls under way: a few slots, each used by one call at a time, in turn.
 *
 * A call borrows its arguments until it returns on its pool thread, so they live outside the garbage
 * collector's reach and are used again instead of being made anew for each start. The number of slots
 * bounds the calls at once; more would only wait for threads of the pool. A slot's memory grows to the
 * largest argument list it has carried, which the system bounds.
 */
import type { ByteString } from '../gateway.js'
import type { Libc } from './libc.js'

/** Calls at once: more than the pool has threads, so that none of them runs dry. */
const slots = 8
const firstTextBytes = 16 * 1024

export class StartSlot {
  readonly #libc: Libc
  readonly pid = new Int32Array(1)
  #memory = Buffer.allocUnsafeSlow(0)
  #address = 0
  #used = 0

  constructor(libc: Libc) {
    this.#libc = libc
  }

  /** Makes room for `bytes` in all; what was placed before is gone. */
  reserve(bytes: number): void {
    this.#used = 0
    if (bytes <= this.#memory.length) return
    this.#memory = Buffer.allocUnsafeSlow(Math.max(bytes, firstTextBytes))
    // User space ends far below 2^53.
    this.#address = Number(this.#libc.address(this.#memory))
  }

  /** Bytes that `vector` takes for these strings. */
  static vectorBytes(strings: readonly ByteString[]): number {
    let bytes = 8 * (strings.length + 2)
    for (const string of strings) bytes += string.length + 1
    return bytes
  }

  /** A C string. */
  string(bytes: ByteString): Buffer {
    const start = this.#used
    this.#put(bytes)
    return this.#memory.subarray(start, this.#used)
  }

  /** A NULL-terminated array of pointers to the strings, which follow it. */
  vector(strings: readonly ByteString[]): Buffer {
    const start = (this.#used + 7) & ~7
    this.#used = start + 8 * (strings.length + 1)
    for (let i = 0; i < strings.length; i++) {
      this.#pointer(this.#address + this.#used, start + 8 * i)
      this.#put(strings[i] ?? '')
    }
    this.#pointer(0, start + 8 * strings.length)
    return this.#memory.subarray(start, this.#used)
  }

  #pointer(address: number, at: number): void {
    this.#memory.writeUInt32LE(address % 0x1_0000_0000, at)
    this.#memory.writeUInt32LE(Math.floor(address / 0x1_0000_0000), at + 4)
  }

  #put(bytes: ByteString): void {
    this.#memory.write(bytes, this.#used, 'latin1')
    this.#used += bytes.length
    this.#memory[this.#used++] = 0
  }
}

/** Hands out slots, first come first served. */
export class StartSlots {
  readonly #free: StartSlot[]
  readonly #line: ((slot: StartSlot) => void)[] = []

  constructor(libc: Libc) {
    this.#free = Array.from({ length: slots }, () => new StartSlot(libc))
  }

  /** Calls `use` with a slot, now or when one is free; `use` or whatever it starts gives it back. */
  take(use: (slot: StartSlot) => void): void {
    const slot = this.#free.pop()
    if (slot === undefined) this.#line.push(use)
    else use(slot)
  }

  give(slot: StartSlot): void {
    const next = this.#line.shift()
    if (next === undefined) this.#free.push(slot)
    else next(slot)
  }
}
