/**
 * Buffers that pipes are read into, used again when whoever got one gives it back.
 *
 * Large output is handed on in the buffer it was read into, without a copy; small output is copied out, so
 * that a few bytes do not hold a large buffer. What is kept: at most `mostKept` free buffers. One that is
 * never given back is the garbage collector's.
 */

/** Size of each. */
export const readBytes = 256 * 1024
/** From this size on a read is handed on without a copy: a full pipe of the usual size. */
const handOnBytes = 64 * 1024
const mostKept = 16

export class ReadBuffers {
  readonly #free: Buffer[] = []
  #current: Buffer = Buffer.allocUnsafeSlow(readBytes)

  /** To read into. */
  get current(): Buffer {
    return this.#current
  }

  /** What was read into `current`, as a buffer of the caller's own. */
  take(bytes: number): Buffer {
    const chunk = this.#current.subarray(0, bytes)
    if (bytes < handOnBytes) return Buffer.from(chunk)
    this.#current = this.#free.pop() ?? Buffer.allocUnsafeSlow(readBytes)
    return chunk
  }

  /** The chunk, or part of it, is not needed any more; chunks from elsewhere are left alone. */
  recycle(chunk: Buffer): void {
    const { buffer } = chunk
    if (buffer.byteLength !== readBytes || this.#free.length >= mostKept) return
    this.#free.push(Buffer.from(buffer))
  }
}
