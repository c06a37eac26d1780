/**
 * SIGINT and SIGTERM turned into calls: the first ends the server in good order, the second at once.
 *
 * Process signals are listened to in this folder only. SIGHUP keeps its default until there is a reload.
 */
import type { Logger } from '../log.js'

/** What can be stopped: a server, or several processes of one. */
export interface Stoppable {
  /** Stops accepting, lets requests finish, then ends programs. */
  close(): Promise<void>
  /** Ends every program now. */
  kill(): void | Promise<void>
}

type StopSignal = 'SIGINT' | 'SIGTERM'

/** What a shell reports for a process that this signal ended. */
const exitCodes: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143 }

/** Settles with the exit code once a signal has ended `running`: 0 in good order, else 128 + signal. */
export function untilStopped(running: Stoppable, log: Logger): Promise<number> {
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
    process.on('SIGINT', stop)
    process.on('SIGTERM', stop)
  })
}
