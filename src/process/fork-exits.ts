/**
 * The ends of the children of one fork server, which alone can wait for them.
 *
 * A pidfd in the poller says when a child has ended; then its parent is asked how. Until it answers, the child
 * is a zombie and nobody else gets its pid. What grows: one entry for each child that runs.
 */
import type { ProgramExit } from '../gateway.js'
import { type Slot, Slots } from '../slots.js'
import type { PipeTools } from './child-pipes.js'
import { readable } from './poller.js'
import { exitWith, unknownExit } from './wait-status.js'

interface Running {
  readonly resolve: (exit: ProgramExit) => void
  /** Its parent was asked, and has not answered yet. */
  asked: boolean
}

/** How often the parent is asked when there is no descriptor to wait on. */
const askMs = 20

export class ForkExits {
  readonly #tools: PipeTools
  readonly #ask: (slot: Slot, pid: number) => void
  readonly #running = new Slots<Running>()
  #parentGone = false

  /** `ask` sends the question; the answer comes by `told` or `stillRuns`. */
  constructor(tools: PipeTools, ask: (slot: Slot, pid: number) => void) {
    this.#tools = tools
    this.#ask = ask
  }

  /** Settles when the child has been reaped, or has ended without anybody who could tell how. */
  until(pid: number): Promise<ProgramExit> {
    const { libc, poller } = this.#tools
    return new Promise(resolve => {
      const running: Running = { resolve, asked: false }
      const slot = this.#running.add(running)
      const pidfd = libc.pidfdOpen(pid)
      if (pidfd >= 0) {
        poller.add(pidfd, readable, () => {
          poller.close(pidfd)
          this.#question(slot, running, pid)
        })
        return
      }
      // Out of descriptors: ask from time to time instead.
      const timer = setInterval(() => {
        if (this.#running.at(slot) !== running) clearInterval(timer)
        else if (!running.asked) this.#question(slot, running, pid)
      }, askMs)
    })
  }

  /** Status word of wait(2), microseconds in user mode and in the kernel, KiB; a status below 0 is unknown. */
  told(slot: Slot, [status = 0, userUs = 0, systemUs = 0, maxRssKiB]: readonly number[]): void {
    this.#settle(slot, status < 0 ? unknownExit : exitWith(status, { userUs, systemUs, maxRssKiB }))
  }

  /** The child has not ended yet. */
  stillRuns(slot: Slot): void {
    const running = this.#running.at(slot)
    if (running !== undefined) running.asked = false
  }

  /** The parent is gone. Children that run are still waited for. */
  giveUp(): void {
    this.#parentGone = true
    for (const { asked, resolve } of this.#running) if (asked) resolve(unknownExit)
  }

  #question(slot: Slot, running: Running, pid: number): void {
    if (this.#parentGone) {
      this.#settle(slot, unknownExit)
      return
    }
    running.asked = true
    this.#ask(slot, pid)
  }

  #settle(slot: Slot, exit: ProgramExit): void {
    const running = this.#running.at(slot)
    if (running === undefined) return
    this.#running.remove(slot)
    running.resolve(exit)
  }
}
