/**
 * One line per exchange: Apache's combined format with what a program cost behind it, or JSON.
 *
 * Pure, and on the hot path: the second of the timestamp is formatted once, text without special bytes is
 * taken as it is. Everything a client or program chose is escaped, so a line stays a line.
 */
import { toText } from '../byte-string.js'
import type { ByteString, ProgramExit } from '../gateway.js'

/** What is known about an exchange when it is over; times in milliseconds, sizes in bytes. */
export interface AccessEntry {
  readonly id: string
  readonly time: Date
  readonly remote: string
  readonly user?: string | undefined
  readonly method: string
  readonly target: ByteString
  readonly protocol: string
  readonly status: number
  readonly bytes: number
  readonly referer?: ByteString | undefined
  readonly userAgent?: ByteString | undefined
  readonly wallMs: number
  readonly script?: ByteString | undefined
  readonly pid?: number | undefined
  readonly queueMs?: number | undefined
  readonly spawnMs?: number | undefined
  readonly firstByteMs?: number | undefined
  readonly exit?: ProgramExit | undefined
  /** Code of the failure. */
  readonly error?: string | undefined
}

/** The combined format, then `name=value` fields. */
export function formatCombined(entry: AccessEntry): string {
  const user = entry.user === undefined ? '-' : escaped(entry.user)
  const request = `${escaped(entry.method)} ${escaped(entry.target)} ${entry.protocol}`
  let line =
    `${entry.remote} - ${user} [${clock(entry.time)}] "${request}" ${entry.status} ${entry.bytes} ` +
    `"${escaped(entry.referer ?? '-')}" "${escaped(entry.userAgent ?? '-')}" ` +
    `id=${entry.id} wall=${ms(entry.wallMs)}`
  if (entry.script !== undefined)
    line += ` script=${escaped(entry.script).replaceAll(' ', '\\x20')}`
  if (entry.queueMs !== undefined) line += ` queue=${ms(entry.queueMs)}`
  if (entry.spawnMs !== undefined) line += ` spawn=${ms(entry.spawnMs)}`
  if (entry.firstByteMs !== undefined) line += ` first=${ms(entry.firstByteMs)}`
  if (entry.pid !== undefined) line += ` pid=${entry.pid}`
  if (entry.exit !== undefined) line += exitFields(entry.exit)
  if (entry.error !== undefined) line += ` error=${entry.error}`
  return line
}

/** The same as one JSON object; texts that are not UTF-8 have a character per byte. */
export function formatJson(entry: AccessEntry): string {
  const { exit, time, ...rest } = entry
  return JSON.stringify({
    time: time.toISOString(),
    ...rest,
    target: text(entry.target),
    referer: text(entry.referer),
    userAgent: text(entry.userAgent),
    script: text(entry.script),
    exitCode: exit?.code,
    signal: exit?.signal,
    cpuUserMs: exit?.usage && exit.usage.userUs / 1_000,
    cpuSystemMs: exit?.usage && exit.usage.systemUs / 1_000,
    maxRssKiB: exit?.usage?.maxRssKiB,
  })
}

function exitFields({ code, signal, usage }: ProgramExit): string {
  const how = signal === undefined ? ` exit=${code ?? '?'}` : ` signal=${signal}`
  if (usage === undefined) return how
  const cpu = ` cpu=${ms(usage.userUs / 1_000)}/${ms(usage.systemUs / 1_000)}`
  return usage.maxRssKiB === undefined ? how + cpu : `${how}${cpu} rss=${usage.maxRssKiB}KiB`
}

function ms(value: number): string {
  return `${Math.round(value * 10) / 10}ms`
}

function text(bytes: ByteString | undefined): string | undefined {
  return bytes === undefined ? undefined : (toText(bytes) ?? bytes)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const special = /["\\\x00-\x1f\x7f-\uffff]/
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const everySpecial = /["\\\x00-\x1f\x7f-\uffff]/g

function escaped(bytes: ByteString): string {
  if (!special.test(bytes)) return bytes
  return bytes.replace(everySpecial, character => {
    if (character === '"' || character === '\\') return `\\${character}`
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
let second = -1
let formatted = ''

/** `22/Nov/2026:17:45:50 +0000`, always in UTC. */
function clock(time: Date): string {
  const now = Math.floor(time.getTime() / 1_000)
  if (now === second) return formatted
  second = now
  const iso = time.toISOString()
  formatted = `${iso.slice(8, 10)}/${months[time.getUTCMonth()]}/${iso.slice(0, 4)}:${iso.slice(11, 19)} +0000`
  return formatted
}
