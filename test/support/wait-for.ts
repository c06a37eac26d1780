/**
 * Waiting for a condition with a deadline: what tests use in place of a sleep.
 *
 * The condition is looked at every few milliseconds; a deadline that passes fails with the words of the
 * caller, so that a red test says what never came true.
 */
import { setTimeout as pause } from 'node:timers/promises'

const pollMs = 5

/**
 * The first value of `condition` that is neither false, null nor undefined.
 * @param what names the condition in the error, for example `child 17 is gone`
 * @throws Error when `deadlineMs` have passed without one
 */
export async function waitFor<T>(
  what: string,
  condition: () => T | false | null | undefined | Promise<T | false | null | undefined>,
  deadlineMs = 10_000,
): Promise<T> {
  const deadline = performance.now() + deadlineMs
  for (;;) {
    const value = await condition()
    if (value !== false && value !== null && value !== undefined) return value
    if (performance.now() > deadline) throw new Error(`after ${deadlineMs} ms still not: ${what}`)
    await pause(pollMs)
  }
}

/** The value of a measure that has stopped changing: it was the same `polls` times in a row. */
export async function settled(what: string, measure: () => number, polls = 40): Promise<number> {
  let last = Number.NaN
  let same = 0
  return await waitFor(`${what} has settled`, () => {
    const value = measure()
    same = value === last ? same + 1 : 0
    last = value
    return same >= polls ? value : undefined
  })
}

/** The promise, or an Error that names it when it has not settled after `deadlineMs`. */
export async function within<T>(
  what: string,
  promise: Promise<T>,
  deadlineMs = 10_000,
): Promise<T> {
  const late = new AbortController()
  const timer = pause(deadlineMs, undefined, { signal: late.signal }).then(
    () => {
      throw new Error(`after ${deadlineMs} ms still not: ${what}`)
    },
    () => promise,
  )
  try {
    return await Promise.race([promise, timer])
  } finally {
    late.abort()
  }
}
