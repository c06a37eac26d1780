/**
 * Name-value pairs (FastCGI §3.4): two lengths, then the two byte strings.
 *
 * Pure. The writer fills a buffer whose size was counted before, so a pair is never an object; the reader
 * takes bytes in pieces of any size and is bounded by the bytes and pairs it may hold.
 */
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'

/** Lengths up to this one are one byte; longer ones four, with the highest bit set. */
const shortest = 127

/** Bytes that a pair takes. */
export function pairBytes(name: ByteString, value: ByteString): number {
  return (
    name.length +
    value.length +
    (name.length > shortest ? 4 : 1) +
    (value.length > shortest ? 4 : 1)
  )
}

/** Writes a pair at `at` and answers the offset behind it. */
export function writePair(target: Buffer, at: number, name: ByteString, value: ByteString): number {
  let next = writeLength(target, writeLength(target, at, name.length), value.length)
  next += target.write(name, next, 'latin1')
  return next + target.write(value, next, 'latin1')
}

function writeLength(target: Buffer, at: number, length: number): number {
  if (length <= shortest) {
    target[at] = length
    return at + 1
  }
  return target.writeUInt32BE((length | 0x8000_0000) >>> 0, at)
}

/** All pairs, one behind the other. */
export function encodePairs(pairs: Iterable<readonly [ByteString, ByteString]>): Buffer {
  let bytes = 0
  for (const [name, value] of pairs) bytes += pairBytes(name, value)
  const target = Buffer.allocUnsafe(bytes)
  let at = 0
  for (const [name, value] of pairs) at = writePair(target, at, name, value)
  return target
}

/** Where the bounds of a reader are. */
export interface PairLimits {
  /** Bytes of all pairs with their lengths. */
  readonly bytes: number
  readonly pairs: number
}

/** Reads pairs out of pieces: a pair may begin in one record and end in another (§3.3, PARAMS is a stream). */
export class PairReader {
  readonly #limits: PairLimits
  readonly #onPair: (name: ByteString, value: ByteString) => void
  /** A pair that is not whole yet. */
  #open: Buffer = Buffer.alloc(0)
  #bytes = 0
  #pairs = 0

  constructor(limits: PairLimits, onPair: (name: ByteString, value: ByteString) => void) {
    this.#limits = limits
    this.#onPair = onPair
  }

  /** @throws GatewayError PROTOCOL_ERROR past a limit */
  push(piece: Buffer): void {
    this.#bytes += piece.length
    if (this.#bytes > this.#limits.bytes) {
      throw new GatewayError('PROTOCOL_ERROR', `More than ${this.#limits.bytes} bytes of pairs.`)
    }
    const bytes = this.#open.length === 0 ? piece : Buffer.concat([this.#open, piece])
    let at = 0
    for (;;) {
      const next = this.#read(bytes, at)
      if (next < 0) break
      at = next
    }
    this.#open = at === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at))
  }

  /** The stream has ended. @throws GatewayError PROTOCOL_ERROR in the middle of a pair */
  end(): void {
    if (this.#open.length > 0) {
      throw new GatewayError('PROTOCOL_ERROR', 'A name-value pair is longer than its record.')
    }
  }

  /** Reads the pair at `at`; the offset behind it, or -1 when it is not whole. */
  #read(bytes: Buffer, at: number): number {
    const nameSize = lengthSize(bytes, at)
    if (nameSize < 0) return -1
    const valueSize = lengthSize(bytes, at + nameSize)
    if (valueSize < 0) return -1
    const start = at + nameSize + valueSize
    const nameEnd = start + readLength(bytes, at, nameSize)
    const end = nameEnd + readLength(bytes, at + nameSize, valueSize)
    if (end > bytes.length) return -1
    if (++this.#pairs > this.#limits.pairs) {
      throw new GatewayError('PROTOCOL_ERROR', `More than ${this.#limits.pairs} pairs.`)
    }
    this.#onPair(bytes.toString('latin1', start, nameEnd), bytes.toString('latin1', nameEnd, end))
    return end
  }
}

/** 1 or 4, or -1 when it is not all there. */
function lengthSize(bytes: Buffer, at: number): number {
  const first = bytes[at]
  if (first === undefined) return -1
  if (first <= shortest) return 1
  return at + 4 <= bytes.length ? 4 : -1
}

function readLength(bytes: Buffer, at: number, size: number): number {
  return size === 1 ? (bytes[at] ?? 0) : bytes.readUInt32BE(at) & 0x7fff_ffff
}
