/**
 * Ends a program and everything it started: TERM to the group, a grace, then KILL (conventions F-5).
 *
 * The leader may be gone while its children live on in the group, so the KILL follows unless the whole
 * group is gone. Knows nothing of requests.
 */
import type { Child } from '../process/spawner.js'

/** The ending of one process group. */
export class ScriptEnd {
  readonly #child: Child
  readonly #graceMs: number
  readonly #gone: () => void
  #timer: NodeJS.Timeout | undefined
  #state: 'running' | 'terminating' | 'gone' = 'running'
  #leaderGone = false

  /** `gone` is called once: when the leader has ended and, if the group was told to end, all of it has. */
  constructor(child: Child, graceMs: number, gone: () => void) {
    this.#child = child
    this.#graceMs = graceMs
    this.#gone = gone
  }

  /** Whether somebody told the group to end. */
  get asked(): boolean {
    return this.#state !== 'running'
  }

  /** TERM now, KILL after the grace; calling it again changes nothing. */
  terminate(): void {
    if (this.#state !== 'running') return
    this.#state = 'terminating'
    const there = this.#child.kill('SIGTERM')
    if (this.#leaderGone && !there) {
      this.#finish()
      return
    }
    this.#timer = setTimeout(() => this.kill(), this.#graceMs)
  }

  /** KILL now. */
  kill(): void {
    if (this.#state === 'gone') return
    this.#state = 'terminating'
    clearTimeout(this.#timer)
    this.#child.kill('SIGKILL')
    if (this.#leaderGone) this.#finish()
  }

  /** The leader has been reaped. */
  leaderGone(): void {
    this.#leaderGone = true
    // A second TERM tells whether anybody is left in the group; it harms nobody who had the first.
    if (this.#state === 'terminating' && this.#child.kill('SIGTERM')) return
    this.#finish()
  }

  #finish(): void {
    clearTimeout(this.#timer)
    if (this.#state === 'gone') return
    this.#state = 'gone'
    this.#gone()
  }
}
