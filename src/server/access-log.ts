/**
 * One line per exchange: Apache's combined format with what a program cost behind it, or JSON.
 *
 * Pure, and on the hot path: the second of the timestamp is formatted once, text without special bytes is
 * taken as it is. Everything that a client or a program chose is escaped, so that a line stays a line,
 * a field a field, and no terminal takes orders from it.
 */
import { fromText, toText } from '../byte-string.js'
import type { ByteString, ProgramExit } from '../gateway.js'

/** What is known about an exchange when it is over; times in milliseconds, sizes in bytes. */
export interface AccessEntry {
  readonly id: string
  readonly time: Date
  readonly remote: string
  readonly user?: ByteString | undefined
  readonly method: string
  readonly target: ByteString
  readonly protocol: string
  readonly status: number
  /** Bytes of the body that were sent. */
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
  /** A word on what was special, for example a local redirect. */
  readonly note?: string | undefined
}

/** The combined format, then `name=value` fields without spaces in them; what is not known is left out. */
export function formatCombined(entry: AccessEntry): string {
  const { script, pid, exit, queueMs, spawnMs, firstByteMs, error, note } = entry
  let line =
    `${entry.remote} - ${entry.user === undefined ? '-' : word(entry.user)} [${clock(entry.time)}] ` +
    `"${quotable(entry.method)} ${quotable(entry.target)} ${entry.protocol}" ` +
    `${entry.status} ${entry.bytes} "${quotable(entry.referer ?? '-')}" ` +
    `"${quotable(entry.userAgent ?? '-')}" id=${entry.id}`
  if (script !== undefined) line += ` script=${word(script)}`
  if (pid !== undefined) line += ` pid=${pid}`
  if (exit?.signal !== undefined) line += ` signal=${exit.signal}`
  else if (exit?.code !== undefined) line += ` exit=${exit.code}`
  line += ` wall=${ms(entry.wallMs)}`
  if (queueMs !== undefined) line += ` queue=${ms(queueMs)}`
  if (spawnMs !== undefined) line += ` spawn=${ms(spawnMs)}`
  if (firstByteMs !== undefined) line += ` first=${ms(firstByteMs)}`
  if (exit?.usage !== undefined) line += usageFields(exit.usage)
  if (error !== undefined) line += ` error=${error}`
  if (note !== undefined) line += ` note=${word(note)}`
  return line
}

/** The same as one JSON object; a text that is not UTF-8 has a character per byte. */
export function formatJson(entry: AccessEntry): string {
  const { exit } = entry
  const usage = exit?.usage
  const json = JSON.stringify({
    time: entry.time.toISOString(),
    id: entry.id,
    remote: entry.remote,
    user: text(entry.user),
    method: entry.method,
    target: text(entry.target),
    protocol: entry.protocol,
    status: entry.status,
    bytes: entry.bytes,
    referer: text(entry.referer),
    userAgent: text(entry.userAgent),
    wallMs: entry.wallMs,
    script: text(entry.script),
    pid: entry.pid,
    queueMs: entry.queueMs,
    spawnMs: entry.spawnMs,
    firstByteMs: entry.firstByteMs,
    exitCode: exit?.code,
    signal: exit?.signal,
    cpuUserMs: usage && usage.userUs / 1000,
    cpuSystemMs: usage && usage.systemUs / 1000,
    maxRssKiB: usage?.maxRssKiB,
    error: entry.error,
    note: entry.note,
  })
  return leftRaw.test(json) ? json.replace(everyLeftRaw, unicodeEscape) : json
}

function usageFields({ userUs, systemUs, maxRssKiB }: NonNullable<ProgramExit['usage']>): string {
  const cpu = ` cpu=${ms(userUs / 1000)}/${ms(systemUs / 1000)}`
  return maxRssKiB === undefined ? cpu : `${cpu} rss=${maxRssKiB}KiB`
}

/** Tenths, by whole numbers: making text of a fraction costs V8 three times as much. */
function ms(value: number): string {
  const tenths = Math.round(value * 10)
  const tenth = tenths % 10
  return tenth === 0 ? `${tenths / 10}ms` : `${(tenths - tenth) / 10}.${tenth}ms`
}

function text(bytes: ByteString | undefined): string | undefined {
  return bytes === undefined ? undefined : (toText(bytes) ?? bytes)
}

// JSON.stringify leaves DEL and the C1 controls as they are; a terminal may not.
const leftRaw = /[\x7f-\x9f]/
const everyLeftRaw = /[\x7f-\x9f]/g

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

const notQuotable = /[^\x20-\x7e]|["\\]/
const everyNotQuotable = /[^\x20-\x7e]|["\\]/g
const notWord = /[^\x21-\x7e]|["\\]/
const everyNotWord = /[^\x21-\x7e]|["\\]/g
const notByte = /[\u0100-\uffff]/

/** Text for between quotes. */
function quotable(bytes: ByteString): string {
  return notQuotable.test(bytes) ? escaped(bytes, everyNotQuotable) : bytes
}

/** Text that ends at the next space. */
function word(bytes: ByteString): string {
  return notWord.test(bytes) ? escaped(bytes, everyNotWord) : bytes
}

/** Apache's way: a backslash before quotes and backslashes, `\xNN` for every other byte. */
function escaped(bytes: ByteString, special: RegExp): string {
  // What came as text rather than bytes goes out as its UTF-8.
  const safe = notByte.test(bytes) ? fromText(bytes) : bytes
  return safe.replace(special, character => {
    if (character === '"' || character === '\\') return `\\${character}`
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

// Not state but memory: the last second, as it was formatted.
let second = -1
let formatted = ''

/** `22/Nov/2026:17:45:50 +0000`, always in UTC. */
function clock(time: Date): string {
  const now = Math.floor(time.getTime() / 1000)
  if (now === second) return formatted
  const iso = time.toISOString()
  const date = `${iso.slice(8, 10)}/${months[time.getUTCMonth()]}/${iso.slice(0, 4)}`
  second = now
  formatted = `${date}:${iso.slice(11, 19)} +0000`
  return formatted
}
