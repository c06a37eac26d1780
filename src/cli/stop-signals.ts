/**
 * Signals turned into calls: the first SIGINT or SIGTERM ends the server in good order, the second at once;
 * SIGHUP replaces its workers.
 *
 * Process signals are listened to in this folder only. A SIGHUP that says that the terminal is gone is a
 * SIGTERM: nobody is there any more who would end the server.
 */
import { isatty } from 'node:tty'
import type { Logger } from '../log.js'

/** What can be stopped: a server, or several processes of one. */
export interface Stoppable {
  /** Stops accepting, lets requests finish, then ends programs. */
  close(): Promise<void>
  /** Ends every program now. */
  kill(): void | Promise<void>
  /** Replaces the workers without losing a request; settles when all are new. Left out: SIGHUP does nothing. */
  reload?(): Promise<void>
}

/** A server that was told to end before it had started. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
  /** What a shell reports for a process that the signal ended. */
  readonly exitCode: number

  constructor(signal: StopSignal) {
    super(`stopped by ${signal} before it had started`)
    this.exitCode = exitCodes[signal]
  }
}

/**
 * Runs a start that SIGINT and SIGTERM break off: its signal is aborted with an Interrupted, which it
 * throws once all that it had started is gone.
 */
export function interruptible<T>(start: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  // Not taken away afterwards: between two listeners a signal would end the process and nothing else.
  const stop = (signal: StopSignal): void => controller.abort(new Interrupted(signal))
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  return start(controller.signal)
}

type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP'

/** What a shell reports for a process that this signal ended. */
const exitCodes: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }

/** Settles with the exit code once a signal has ended `running`: 0 in good order, else 128 + signal. */
export function untilStopped(running: Stoppable, log: Logger): Promise<number> {
  const hadTerminal = isatty(0)
  return new Promise((resolve, reject) => {
    let stopping: 'drain' | 'kill' | undefined
    const stop = (signal: StopSignal): void => {
      if (stopping !== undefined) {
        stopping = 'kill'
        log.warn({ signal }, 'stopping at once')
        Promise.resolve(running.kill()).then(() => resolve(exitCodes[signal]), reject)
        return
      }
      stopping = 'drain'
      log.info({ signal }, 'stopping when the running requests are done; a second signal ends them')
      running.close().then(() => {
        // What is killed is closed as well; the exit code is that of the signal then.
        if (stopping === 'drain') resolve(0)
      }, reject)
    }
    const reloads = new Reloads(running, log)
    process.on('SIGINT', stop)
    process.on('SIGTERM', stop)
    process.on('SIGHUP', signal => {
      if (hadTerminal && !isatty(0)) stop(signal as 'SIGHUP')
      else if (stopping === undefined) reloads.ask()
    })
  })
}

/** Reloads one after another: asked for once more while one runs, another follows, however often. */
class Reloads {
  readonly #running: Stoppable
  readonly #log: Logger
  #state: 'idle' | 'running' | 'again' = 'idle'

  constructor(running: Stoppable, log: Logger) {
    this.#running = running
    this.#log = log
  }

  ask(): void {
    if (this.#state !== 'idle') this.#state = 'again'
    else void this.#run()
  }

  async #run(): Promise<void> {
    do {
      this.#state = 'running'
      this.#log.info({}, 'replacing the workers')
      try {
        await this.#running.reload?.()
        this.#log.info({}, 'the workers are replaced')
      } catch (error) {
        const problem = error instanceof Error ? error.message : String(error)
        this.#log.error({ problem }, 'not all workers could be replaced')
      }
    } while (this.#asked())
    this.#state = 'idle'
  }

  #asked(): boolean {
    return this.#state === 'again'
  }
}
