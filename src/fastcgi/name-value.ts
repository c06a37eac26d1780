/**
 * Name-value pairs (FastCGI §3.4): two lengths, then the two byte strings.
 *
 * Pure. Pairs are written as one string for one conversion; the reader takes bytes in pieces of any size and
 * is bounded by the bytes and pairs it may hold.
 */
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'

/** Lengths up to this one are one byte; longer ones four, with the highest bit set. */
const shortest = 127
const nothing = Buffer.alloc(0)

/** Texts of the lengths that are one byte. */
const shortLengths = Array.from({ length: shortest + 1 }, (_, length) =>
  String.fromCharCode(length),
)

/**
 * A pair as a byte string. Joining strings and writing them once is several times as quick as writing each
 * name and value into a buffer.
 */
export function pairText(name: ByteString, value: ByteString): ByteString {
  return lengthText(name.length) + lengthText(value.length) + name + value
}

function lengthText(length: number): ByteString {
  return (
    shortLengths[length] ??
    String.fromCharCode(
      0x80 | (length >>> 24),
      (length >>> 16) & 0xff,
      (length >>> 8) & 0xff,
      length & 0xff,
    )
  )
}

/** All pairs, one behind the other. */
export function encodePairs(pairs: Iterable<readonly [ByteString, ByteString]>): Buffer {
  let text = ''
  for (const [name, value] of pairs) text += pairText(name, value)
  return Buffer.from(text, 'latin1')
}

/** Where the bounds of a reader are. */
export interface PairLimits {
  /** Bytes of all pairs with their lengths. */
  readonly bytes: number
  readonly pairs: number
}

/**
 * Reads pairs out of pieces: a pair may begin in one record and end in another (§3.3, PARAMS is a stream).
 * Pairs that are whole in their piece are read where they lie; only one that is not is copied together.
 */
export class PairReader {
  readonly #limits: PairLimits
  readonly #onPair: (name: ByteString, value: ByteString) => void
  /** A pair that is not whole yet: its first `openHave` bytes of at least `openNeed`. */
  #open = nothing
  #openHave = 0
  #openNeed = 0
  /** Bytes of the pairs that were whole. */
  #bytes = 0
  #pairs = 0

  constructor(limits: PairLimits, onPair: (name: ByteString, value: ByteString) => void) {
    this.#limits = limits
    this.#onPair = onPair
  }

  /** @throws GatewayError PROTOCOL_ERROR past a limit, as soon as a length says so */
  push(piece: Buffer): void {
    let at = this.#openHave === 0 ? 0 : this.#fillOpen(piece)
    const start = at
    let text: ByteString | undefined
    while (at < piece.length) {
      const have = piece.length - at
      const need = this.#needed(piece, at, have)
      if (need > have) {
        this.#openNeed = need
        this.#keep(piece, at, piece.length)
        return
      }
      // All of it at once, cut by the string's own means: a call for each name and value takes three times as long.
      text ??= piece.toString('latin1', start)
      this.#read(piece, at, text, at - start, need)
      at += need
    }
  }

  /** The stream has ended. @throws GatewayError PROTOCOL_ERROR in the middle of a pair */
  end(): void {
    if (this.#openHave > 0) {
      throw new GatewayError('PROTOCOL_ERROR', 'A name-value pair is longer than its record.')
    }
  }

  /** Goes on with the open pair; the offset behind what was taken for it. */
  #fillOpen(piece: Buffer): number {
    let at = 0
    while (at < piece.length) {
      const end = Math.min(piece.length, at + this.#openNeed - this.#openHave)
      this.#keep(piece, at, end)
      at = end
      if (this.#openHave < this.#openNeed) break
      const need = this.#needed(this.#open, 0, this.#openHave)
      if (need === this.#openHave) {
        this.#read(this.#open, 0, this.#open.toString('latin1', 0, need), 0, need)
        this.#openHave = 0
        this.#open = nothing
        break
      }
      this.#openNeed = need
    }
    return at
  }

  /** Grows by doubling: a stranger gets memory for what was sent, not for the length that was promised. */
  #keep(piece: Buffer, start: number, end: number): void {
    const have = this.#openHave + end - start
    if (have > this.#open.length) {
      const grown = Buffer.allocUnsafe(Math.min(this.#openNeed, Math.max(2 * have, 64)))
      this.#open.copy(grown, 0, 0, this.#openHave)
      this.#open = grown
    }
    this.#openHave += piece.copy(this.#open, this.#openHave, start, end)
  }

  /** Bytes of the pair at `at`, as far as the `have` bytes that are there tell: then at least so many. */
  #needed(bytes: Buffer, at: number, have: number): number {
    const nameSize = lengthSize(bytes, at)
    if (have <= nameSize) return this.#within(nameSize + 1)
    const start = nameSize + lengthSize(bytes, at + nameSize)
    if (have < start) return this.#within(start)
    const name = readLength(bytes, at, nameSize)
    return this.#within(start + name + readLength(bytes, at + nameSize, start - nameSize))
  }

  #within(need: number): number {
    if (this.#bytes + need > this.#limits.bytes) {
      throw new GatewayError('PROTOCOL_ERROR', `More than ${this.#limits.bytes} bytes of pairs.`)
    }
    return need
  }

  /** Reads the pair of `size` bytes that begins at `at` of the bytes and at `textAt` of the same as text. */
  #read(bytes: Buffer, at: number, text: ByteString, textAt: number, size: number): void {
    if (++this.#pairs > this.#limits.pairs) {
      throw new GatewayError('PROTOCOL_ERROR', `More than ${this.#limits.pairs} pairs.`)
    }
    this.#bytes += size
    const nameSize = lengthSize(bytes, at)
    const name = textAt + nameSize + lengthSize(bytes, at + nameSize)
    const value = name + readLength(bytes, at, nameSize)
    this.#onPair(text.slice(name, value), text.slice(value, textAt + size))
  }
}

/** How many bytes the length at `at` takes. */
function lengthSize(bytes: Buffer, at: number): number {
  return (bytes[at] ?? 0) <= shortest ? 1 : 4
}

function readLength(bytes: Buffer, at: number, size: number): number {
  return size === 1 ? (bytes[at] ?? 0) : bytes.readUInt32BE(at) & 0x7fff_ffff
}
