/**
 * When a worker that ended by itself is started again: a pure function of what ended and of the clock.
 *
 * All workers of a supervisor run the same program, so its exits are one history: a crash loop waits
 * 100 ms before the next start, then twice as long each time, up to 30 s. Workers of one start that die
 * together count once. One that has done its work ends the series.
 */

/** What is remembered of earlier ends; times in milliseconds of the caller's clock. */
export interface RestartHistory {
  /** Crashes in a row. */
  readonly crashes: number
  /** When the last of them happened. */
  readonly crashedAt: number
  /** No start before this. */
  readonly notBefore: number
}

/** How a worker ended that nobody had told to. */
export interface WorkerEnd {
  readonly startedAt: number
  readonly endedAt: number
  /** Exit status 0 after it had been ready: on purpose (conventions G-24). */
  readonly onPurpose: boolean
  /** It has answered requests, so the program as such works. */
  readonly answered: boolean
}

export const firstDelayMs = 100
export const longestDelayMs = 30_000
/** A worker that lived this long was not in a crash loop. */
export const longLifeMs = 10_000

export const noHistory: RestartHistory = {
  crashes: 0,
  crashedAt: Number.NEGATIVE_INFINITY,
  notBefore: Number.NEGATIVE_INFINITY,
}

/** The history after one more end. */
export function afterEnd(history: RestartHistory, end: WorkerEnd): RestartHistory {
  if (end.onPurpose) return history
  // Started before the last crash: a sibling of it, and no news.
  if (end.startedAt < history.crashedAt) return history
  const works = end.answered || end.endedAt - end.startedAt >= longLifeMs
  const crashes = works ? 1 : history.crashes + 1
  // 2 ** 20 is far beyond the longest delay, and no overflow.
  const delayMs = Math.min(firstDelayMs * 2 ** Math.min(crashes - 1, 20), longestDelayMs)
  return { crashes, crashedAt: end.endedAt, notBefore: end.endedAt + delayMs }
}
