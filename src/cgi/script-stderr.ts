/**
 * Drains a program's stderr into the log, line by line, attributed to its request (conventions F-1, F-2).
 *
 * Read at once and always, so that a program never waits for it. A child that keeps stderr open after the
 * program has ended is not waited for longer than a moment.
 */
import { toText } from '../byte-string.js'
import type { GatewayRequest } from '../gateway.js'
import type { Logger } from '../log.js'
import type { Child } from '../process/spawner.js'
import { createStderrLog } from './stderr-log.js'

/** stderr of one run. */
export interface WatchedStderr {
  /** Settles when the last line has been logged. */
  readonly closed: Promise<void>
  /** The outcome is known: lines are warnings, or errors when the request failed. */
  outcome(level: 'warn' | 'error'): void
  /** The last of what was written, escaped, at most 4 KiB. */
  readonly tail: string
}

/** How long a child of the program may keep stderr open after its end. */
const drainMs = 250
/** Starts draining at once; lines beyond `capBytes` are counted and dropped. */
export function watchStderr(
  child: Child,
  request: GatewayRequest,
  capBytes: number,
  log: Logger,
): WatchedStderr {
  const script = request.facts.script ?? ''
  const fields = { id: request.id, script: toText(script) ?? script, pid: child.pid }
  const lines = createStderrLog(fields, capBytes, log)
  const closed = new Promise<void>(resolve => {
    let timer: NodeJS.Timeout | undefined
    let open = true
    const close = (): void => {
      open = false
      clearTimeout(timer)
      lines.end()
      resolve()
    }
    child.stderr.start(chunk => lines.push(chunk), close)
    void child.exited.then(() => {
      if (!open) return
      timer = setTimeout(() => {
        child.stderr.close()
        close()
      }, drainMs)
    })
  })
  return {
    closed,
    outcome: level => lines.outcome(level),
    get tail() {
      return lines.tail
    },
  }
}
