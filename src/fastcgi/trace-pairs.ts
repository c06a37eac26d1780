/**
 * Name-value pairs as text for a trace, while they go by.
 *
 * A pair may lie in two records, so this remembers where in a pair the last piece ended. It holds the first
 * bytes of one name and one value, never a whole value; values that are secrets are counted, not shown.
 * No bytes can be wrong here: lengths are believed. Refusing is the business of `name-value.ts`.
 */
import { readableBytes } from '../process/stderr-lines.js'

/** Bytes of a name and of a value that are shown. */
const shownNameBytes = 128
const shownValueBytes = 200

/** Whoever reads a log is not to log in with it. */
const secretNames = new Set(['HTTP_AUTHORIZATION', 'HTTP_COOKIE', 'HTTP_PROXY_AUTHORIZATION'])

/** `NAME=value` of the first bytes of both; the value has `valueBytes` in all. */
export function pairLine(nameBytes: Buffer, valueStart: Buffer, valueBytes: number): string {
  const name = readableBytes(nameBytes.subarray(0, shownNameBytes))
  if (secretNames.has(name.toUpperCase())) return `${name}=(${valueBytes} bytes hidden)`
  const value = readableBytes(valueStart.subarray(0, shownValueBytes))
  const cut = valueBytes > shownValueBytes ? `… (${valueBytes} bytes)` : ''
  return value.includes(' ') ? `${name}="${value}${cut}"` : `${name}=${value}${cut}`
}

export class PairTrace {
  /** Both lengths, as far as they are there: 2 to 8 bytes. */
  readonly #lengths = Buffer.alloc(8)
  #lengthsHave = 0
  #inPair = false
  #nameLeft = 0
  #valueLeft = 0
  #valueBytes = 0
  #name: Buffer[] = []
  #nameHave = 0
  #value: Buffer[] = []
  #valueHave = 0

  /** Calls `onPair` with `NAME=value` for each pair that ends in this piece. */
  push(piece: Buffer, onPair: (text: string) => void): void {
    let at = 0
    while (at < piece.length) {
      at = this.#inPair ? this.#takeText(piece, at) : this.#takeLength(piece, at)
      if (!this.#inPair || this.#nameLeft > 0 || this.#valueLeft > 0) continue
      onPair(this.#text())
      this.#reset()
    }
  }

  #takeLength(piece: Buffer, at: number): number {
    this.#lengths[this.#lengthsHave++] = piece[at] ?? 0
    const nameSize = lengthSize(this.#lengths, 0)
    if (this.#lengthsHave <= nameSize) return at + 1
    const valueSize = lengthSize(this.#lengths, nameSize)
    if (this.#lengthsHave < nameSize + valueSize) return at + 1
    this.#nameLeft = readLength(this.#lengths, 0, nameSize)
    this.#valueBytes = readLength(this.#lengths, nameSize, valueSize)
    this.#valueLeft = this.#valueBytes
    this.#inPair = true
    return at + 1
  }

  #takeText(piece: Buffer, at: number): number {
    if (this.#nameLeft > 0) {
      const end = Math.min(piece.length, at + this.#nameLeft)
      const shown = Math.min(end, at + shownNameBytes - this.#nameHave)
      // A copy: the piece belongs to whoever reads the socket.
      if (shown > at) this.#name.push(Buffer.from(piece.subarray(at, shown)))
      this.#nameHave += Math.max(0, shown - at)
      this.#nameLeft -= end - at
      return end
    }
    const end = Math.min(piece.length, at + this.#valueLeft)
    const shown = Math.min(end, at + shownValueBytes - this.#valueHave)
    if (shown > at) this.#value.push(Buffer.from(piece.subarray(at, shown)))
    this.#valueHave += Math.max(0, shown - at)
    this.#valueLeft -= end - at
    return end
  }

  #text(): string {
    return pairLine(Buffer.concat(this.#name), Buffer.concat(this.#value), this.#valueBytes)
  }

  #reset(): void {
    this.#lengthsHave = 0
    this.#inPair = false
    this.#name = []
    this.#nameHave = 0
    this.#value = []
    this.#valueHave = 0
  }
}

function lengthSize(bytes: Buffer, at: number): number {
  return (bytes[at] ?? 0) > 127 ? 4 : 1
}

function readLength(bytes: Buffer, at: number, size: number): number {
  return size === 1 ? (bytes[at] ?? 0) : bytes.readUInt32BE(at) & 0x7fff_ffff
}
