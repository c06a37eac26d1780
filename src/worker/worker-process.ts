/**
 * The process of a worker: TERM, then KILL after the grace, to all of its group; what it prints; its end.
 *
 * Not the worker's state or its requests (`worker.ts`). When the leader ends, what it started has lost
 * its master and is killed as well.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { ProgramExit } from '../gateway.js'
import type { Logger } from '../log.js'
import type { Child } from '../process/spawner.js'
import { WorkerOutput } from './worker-output.js'

export class WorkerProcess {
  /** Settles when the leader has been reaped. */
  readonly exited: Promise<ProgramExit>
  /** Settles when its last line is in the log too. */
  readonly gone: Promise<void>
  readonly #child: Child
  readonly #output: WorkerOutput
  readonly #graceMs: number
  #exit: ProgramExit | undefined
  #terminating = false
  #grace: NodeJS.Timeout | undefined

  constructor(child: Child, name: string, log: Logger, graceMs: number) {
    this.#child = child
    this.#graceMs = graceMs
    this.#output = new WorkerOutput(child, name, log)
    this.exited = child.exited.then(exit => {
      this.#exit = exit
      clearTimeout(this.#grace)
      child.kill('SIGKILL')
      return exit
    })
    this.gone = this.exited.then(() => this.#output.closed)
  }

  get pid(): number {
    return this.#child.pid
  }

  /** Undefined while it runs. */
  get exit(): ProgramExit | undefined {
    return this.#exit
  }

  /** The last of stderr. */
  get stderr(): string {
    return this.#output.tail
  }

  /** TERM now, KILL after the grace; calling it again changes nothing. */
  terminate(): void {
    if (this.#terminating || this.#exit !== undefined) return
    this.#terminating = true
    this.#child.kill('SIGTERM')
    this.#grace = setTimeout(() => this.kill(), this.#graceMs)
  }

  /** KILL now. */
  kill(): void {
    this.#terminating = true
    clearTimeout(this.#grace)
    if (this.#exit === undefined) this.#child.kill('SIGKILL')
  }

  /** Sends a signal whose answer goes to the log with `request`; settles after `ms`, or when it has ended. */
  async ask(signal: NodeJS.Signals, request: string, ms: number): Promise<void> {
    if (this.#exit !== undefined) return
    this.#output.tag({ request })
    try {
      // To the leader only: the processes it has started may not expect the signal.
      process.kill(this.#child.pid, signal)
    } catch {
      // It has just ended.
      return
    }
    await Promise.race([pause(ms, undefined, { ref: false }), this.exited])
  }
}
