/**
 * Whether an answer is the expected one, byte by byte as it comes. Pure; one object per connection, reset for each
 * answer. What is held is the expected body, up to `mostComparedBytes`; of longer ones only the length is checked
 * while the load runs.
 */

/** What a right answer is, as it is told to the load generator. */
export interface Expected {
  readonly status: number
  readonly type: string
  /** Bytes of the body; undefined when answers differ from each other. */
  readonly length: number | undefined
  /** The body in base64; undefined when it is too long or answers differ. */
  readonly body: string | undefined
}

/** Longer bodies are compared by their length only. */
export const mostComparedBytes = 256 * 1024

export class AnswerCheck {
  readonly #expected: Expected
  readonly #body: Buffer | undefined
  #length = 0
  #same = true

  constructor(expected: Expected) {
    this.#expected = expected
    this.#body = expected.body === undefined ? undefined : Buffer.from(expected.body, 'base64')
  }

  /** Ready for the next answer. */
  reset(): void {
    this.#length = 0
    this.#same = true
  }

  /** A part of the body. */
  data(chunk: Buffer): void {
    const from = this.#length
    this.#length += chunk.length
    const body = this.#body
    if (body === undefined || !this.#same) return
    this.#same = chunk.compare(body, from, Math.min(this.#length, body.length)) === 0
  }

  /** The verdict on the whole answer. */
  isRight(status: number, type: string): boolean {
    const expected = this.#expected
    if (status !== expected.status || type !== expected.type || !this.#same) return false
    return expected.length === undefined || expected.length === this.#length
  }
}
