/**
 * Ends a program and everything it started: TERM to the group, a grace, then KILL (conventions F-5).
 *
 * The leader may be gone while its children live on in the group, so the KILL follows unless the whole
 * group is gone. Knows nothing of requests.
 */
import type { Child } from '../process/spawner.js'

/** How often the rest of a group is looked for once its leader has gone. */
const lookMs = 25

/** The ending of one process group. */
export class ScriptEnd {
  readonly #child: Child
  readonly #graceMs: number
  readonly #gone: () => void
  #state: 'running' | 'terminating' | 'killed' | 'gone' = 'running'
  #leaderGone = false
  #asked = false
  #grace: NodeJS.Timeout | undefined
  #look: NodeJS.Timeout | undefined

  /** `gone` is called once: when the leader has ended and, if the group was told to end, all of it has. */
  constructor(child: Child, graceMs: number, gone: () => void) {
    this.#child = child
    this.#graceMs = graceMs
    this.#gone = gone
  }

  /** Whether the group was told to end. */
  get asked(): boolean {
    return this.#asked
  }

  /** TERM now, KILL after the grace; calling it again changes nothing. */
  terminate(): void {
    if (this.#state !== 'running') return
    this.#state = 'terminating'
    this.#asked = true
    this.#child.kill('SIGTERM')
    this.#grace = setTimeout(() => this.kill(), this.#graceMs)
  }

  /** KILL now. */
  kill(): void {
    if (this.#state === 'gone') return
    this.#state = 'killed'
    this.#asked = true
    this.#child.kill('SIGKILL')
    if (this.#leaderGone) this.#finish()
  }

  /** The leader has been reaped. */
  leaderGone(): void {
    this.#leaderGone = true
    if (this.#state !== 'terminating' || !this.#child.kill(0)) {
      this.#finish()
      return
    }
    this.#look = setInterval(() => {
      if (!this.#child.kill(0)) this.#finish()
    }, lookMs)
  }

  #finish(): void {
    clearTimeout(this.#grace)
    clearInterval(this.#look)
    if (this.#state === 'gone') return
    this.#state = 'gone'
    this.#gone()
  }
}
