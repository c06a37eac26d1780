/**
 * Durations (`500ms`, `30s`, `5m`, `1h`) and sizes (`64KiB`, `1MiB`) as people write them.
 *
 * A number without a unit is refused for a duration, since half of its readers would take it for the
 * other unit; for a size it is bytes. Pure.
 */

const msPerUnit: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

const bytesPerUnit: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
}

/** Node fires a longer timer at once, so a longer time cannot be meant. */
export const longestDurationMs = 2 ** 31 - 1

const durationSyntax = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/
const sizeSyntax = /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB)$/

/** Milliseconds, or undefined for anything that is not a duration; plain `0` is one. */
export function parseDuration(value: unknown): number | undefined {
  if (value === 0 || value === '0') return 0
  const ms = measure(value, durationSyntax, msPerUnit)
  return ms !== undefined && ms <= longestDurationMs ? ms : undefined
}

/** Bytes, or undefined for anything that is not a size; a plain whole number is bytes. */
export function parseSize(value: unknown): number | undefined {
  if (typeof value === 'string' && /^\d+$/.test(value)) return parseSize(Number(value))
  const bytes = typeof value === 'number' ? value : measure(value, sizeSyntax, bytesPerUnit)
  return bytes !== undefined && Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined
}

/** Number times unit, rounded to whole units of the table; a fraction too small to count is refused. */
function measure(
  value: unknown,
  syntax: RegExp,
  units: Readonly<Record<string, number>>,
): number | undefined {
  if (typeof value !== 'string') return undefined
  const match = syntax.exec(value)
  const unit = units[match?.[2] ?? '']
  if (unit === undefined) return undefined
  const number = Number(match?.[1])
  const result = Math.round(number * unit)
  return result === 0 && number !== 0 ? undefined : result
}
