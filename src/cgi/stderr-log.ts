/**
 * Lines of stderr on their way to the log, attributed to their request (conventions F-2).
 *
 * The level depends on how the request ends, so lines wait a moment for it: at most `capBytes` of them.
 * Knows neither processes nor protocols.
 */
import type { LogFields, Logger } from '../log.js'
import { StderrLines } from '../process/stderr-lines.js'

/** The stderr of one request. */
export interface StderrLog {
  push(chunk: Buffer): void
  /** Logs a last line that had no end. */
  end(): void
  /** The outcome is known: lines are warnings, or errors when the request failed. */
  outcome(level: 'warn' | 'error'): void
  /** The last of what was written, escaped, at most 4 KiB. */
  readonly tail: string
}

/** Lines are held this long for the outcome that decides their level; then they are warnings. */
const holdMs = 1_000

/** Lines go to `log` with `fields`; those beyond `capBytes` are counted and dropped. */
export function createStderrLog(fields: LogFields, capBytes: number, log: Logger): StderrLog {
  let level: 'warn' | 'error' | undefined
  let held: string[] = []
  let hold: NodeJS.Timeout | undefined
  const outcome = (decided: 'warn' | 'error'): void => {
    clearTimeout(hold)
    level = decided
    for (const line of held) log[decided](fields, line)
    held = []
  }
  const emit = (line: string): void => {
    if (level !== undefined) {
      log[level](fields, line)
      return
    }
    held.push(line)
    hold ??= setTimeout(() => outcome('warn'), holdMs)
  }
  const lines = new StderrLines({ capBytes, emit })
  return {
    push: chunk => lines.push(chunk),
    end: () => lines.end(),
    outcome,
    get tail() {
      return lines.tail
    },
  }
}
