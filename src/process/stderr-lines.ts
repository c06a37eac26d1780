/**
 * What a program writes on stderr, cut into lines that are safe to log.
 *
 * A line ends at LF or CRLF; empty ones are left out. Bounded three ways: at most `capBytes` are emitted
 * (conventions F-2), a line without end is emitted in pieces of 8 KiB, and `tail` keeps the last 4 KiB.
 * Whatever comes after the cap is counted and otherwise dropped, so the program never waits for us.
 */
import { isUtf8 } from 'node:buffer'

/** Where the lines go and how many bytes of them. */
export interface StderrOptions {
  /** Bytes of stderr that are emitted; then one line says so. */
  readonly capBytes: number
  /** Gets one line, escaped, without its end. */
  readonly emit: (line: string) => void
}

const LF = 0x0a
const CR = 0x0d
const TAB = 0x09
const LINE_BYTES = 8 * 1024
const TAIL_BYTES = 4 * 1024

/** Splits and escapes the stderr of one process. */
export class StderrLines {
  readonly #options: StderrOptions
  /** A line whose end has not come yet. */
  #open = Buffer.alloc(0)
  #openBytes = 0
  #bytes = 0
  #truncated = false
  #tail = Buffer.alloc(0)

  constructor(options: StderrOptions) {
    this.#options = options
  }

  /** All bytes that came, also those beyond the cap. */
  get bytes(): number {
    return this.#bytes
  }

  /** The last 4 KiB that came, line ends kept, the rest escaped. */
  get tail(): string {
    let start = 0
    // The cut may have hit the middle of a character: its remains are left out.
    if (this.#bytes > this.#tail.length) {
      while (start < 3 && isContinuation(this.#tail[start])) start++
    }
    const lines: string[] = []
    while (start < this.#tail.length) {
      const end = lineEnd(this.#tail, start)
      lines.push(readableBytes(withoutReturn(this.#tail.subarray(start, end))))
      start = end + 1
    }
    return lines.join('\n')
  }

  push(chunk: Buffer): void {
    const room = Math.max(0, this.#options.capBytes - this.#bytes)
    this.#bytes += chunk.length
    this.#keepTail(chunk)
    if (this.#truncated) return
    this.#split(chunk.length > room ? chunk.subarray(0, room) : chunk)
    if (chunk.length <= room) return
    this.#truncated = true
    this.#emitOpen()
    this.#options.emit(`… truncated after ${this.#options.capBytes} bytes`)
  }

  /** Emits a last line that had no end. */
  end(): void {
    this.#emitOpen()
  }

  #split(chunk: Buffer): void {
    let start = 0
    while (start < chunk.length) {
      const end = lineEnd(chunk, start)
      this.#add(chunk.subarray(start, end), end < chunk.length)
      start = end + 1
    }
  }

  #add(piece: Buffer, complete: boolean): void {
    if (this.#openBytes === 0 && complete && piece.length <= LINE_BYTES) {
      this.#emit(piece)
      return
    }
    let rest = piece
    while (this.#openBytes + rest.length > LINE_BYTES) {
      const room = LINE_BYTES - this.#openBytes
      this.#hold(rest.subarray(0, room))
      rest = rest.subarray(room)
      this.#emitPiece()
    }
    this.#hold(rest)
    if (complete) this.#emitOpen()
  }

  #hold(piece: Buffer): void {
    if (piece.length === 0) return
    if (this.#open.length === 0) this.#open = Buffer.allocUnsafeSlow(LINE_BYTES)
    piece.copy(this.#open, this.#openBytes)
    this.#openBytes += piece.length
  }

  /** Emits what is held up to the last whole character; the beginning of a cut one stays. */
  #emitPiece(): void {
    let end = this.#openBytes
    for (let back = 1; back <= 3; back++) {
      const at = this.#openBytes - back
      if (isContinuation(this.#open[at])) continue
      if (characterBytes(this.#open[at] ?? 0) > back) end = at
      break
    }
    this.#options.emit(readableBytes(this.#open.subarray(0, end)))
    this.#open.copyWithin(0, end, this.#openBytes)
    this.#openBytes -= end
  }

  #emitOpen(): void {
    if (this.#openBytes === 0) return
    const line = this.#open.subarray(0, this.#openBytes)
    this.#openBytes = 0
    this.#emit(line)
  }

  #emit(line: Buffer): void {
    const text = withoutReturn(line)
    if (text.length > 0) this.#options.emit(readableBytes(text))
  }

  #keepTail(chunk: Buffer): void {
    if (chunk.length >= TAIL_BYTES) {
      this.#tail = Buffer.from(chunk.subarray(chunk.length - TAIL_BYTES))
      return
    }
    const kept = this.#tail.subarray(Math.max(0, this.#tail.length + chunk.length - TAIL_BYTES))
    this.#tail = Buffer.concat([kept, chunk])
  }
}

/**
 * Bytes as text for a log or a page: control bytes and bytes that are not UTF-8 become `\xNN`
 * (conventions F-3), C1 controls too since some terminals obey them. A tab stays: it forges nothing, and
 * stack traces are full of it.
 */
export function readableBytes(bytes: Buffer): string {
  if (!hasControls(bytes) && isUtf8(bytes)) return bytes.toString()
  let text = ''
  let at = 0
  while (at < bytes.length) {
    const end = at + characterBytes(bytes[at] ?? 0)
    const character = bytes.subarray(at, end)
    if (hasControls(character) || !isUtf8(character)) {
      text += escapeByte(bytes[at] ?? 0)
      at++
      continue
    }
    text += character.toString()
    at = end
  }
  return text
}

function hasControls(bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0
    if (isControl(byte)) return true
    // U+0080 to U+009F.
    if (byte === 0xc2 && (bytes[i + 1] ?? 0xff) <= 0x9f) return true
  }
  return false
}

function isControl(byte: number): boolean {
  return (byte < 0x20 && byte !== TAB) || byte === 0x7f
}

function escapeByte(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`
}

/** Length of a UTF-8 character by its first byte; 1 for a byte that begins none. */
function characterBytes(first: number): number {
  if (first >= 0xf0) return 4
  if (first >= 0xe0) return 3
  if (first >= 0xc0) return 2
  return 1
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}

function lineEnd(bytes: Buffer, start: number): number {
  const at = bytes.indexOf(LF, start)
  return at === -1 ? bytes.length : at
}

function withoutReturn(line: Buffer): Buffer {
  return line[line.length - 1] === CR ? line.subarray(0, line.length - 1) : line
}
