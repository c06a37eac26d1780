/**
 * Bytes from a socket, taken by line or by count: the ground under the raw HTTP client.
 *
 * Holds one chunk of the socket at a time; nothing is read ahead of what is asked for, so a test that
 * does not read makes the server feel it. Errors of the socket are an end that `wasReset` tells apart.
 */
import type { Socket } from 'node:net'

const lf = 0x0a
const longestLine = 1024 * 1024

export class ByteSource {
  readonly #chunks: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)
  #ended = false
  #reset = false

  constructor(socket: Socket) {
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  }

  /** Whether the other side broke the connection rather than ended it. */
  get wasReset(): boolean {
    return this.#reset
  }

  /** The line up to its LF, which is included, as latin-1; undefined when the stream ends before one. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const end = this.#rest.indexOf(lf)
      if (end !== -1) return this.#take(end + 1).toString('latin1')
      if (this.#rest.length > longestLine) throw new Error('a line without end')
      if (!(await this.#more())) return undefined
    }
  }

  /** Between 1 and `most` bytes, or undefined at the end. */
  async some(most: number): Promise<Buffer | undefined> {
    if (this.#rest.length === 0 && !(await this.#more())) return undefined
    return this.#take(Math.min(most, this.#rest.length))
  }

  #take(count: number): Buffer {
    const taken = this.#rest.subarray(0, count)
    this.#rest = this.#rest.subarray(count)
    return taken
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false
    const next = await this.#chunks.next().catch(() => {
      this.#reset = true
      return undefined
    })
    if (next === undefined || next.done === true) {
      this.#ended = true
      return false
    }
    this.#rest = this.#rest.length === 0 ? next.value : Buffer.concat([this.#rest, next.value])
    return true
  }
}
