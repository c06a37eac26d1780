/**
 * Numbers and times as a report writes them: as many digits as a reader can use. Pure.
 */

/** Two or three significant digits, but every digit before the point: `5210`, `49`, `3.1`, `0.31`. */
export function digits(value: number): string {
  if (value >= 9.95) return value.toFixed(0)
  if (value >= 0.995) return value.toFixed(1)
  return value === 0 ? '0' : value.toPrecision(2)
}

/** `590 ms`, `2.9 ms`, `1.2 s`. */
export function milliseconds(ms: number): string {
  return ms >= 9_950 ? `${digits(ms / 1000)} s` : `${digits(ms)} ms`
}

/** `3 s`, `0.5 s`. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms % 1000 === 0 ? 0 : 1)} s`
}
