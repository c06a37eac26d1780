/**
 * A promise that somebody waits for and somebody else settles: a start, a reload.
 */

/** Settles once; later calls change nothing. A rejection that nobody waits for is not an unhandled one. */
export class Pending {
  readonly promise: Promise<void>
  #resolve: () => void = () => {}
  #reject: (error: Error) => void = () => {}

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.promise.catch(() => {})
  }

  resolve(): void {
    this.#resolve()
  }

  reject(error: Error): void {
    this.#reject(error)
  }
}
