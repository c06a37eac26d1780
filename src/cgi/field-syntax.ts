/**
 * The small syntax of header fields (RFC 9110 §5.6): tokens, control characters, numbers, lists; and how
 * a piece of a program's output is quoted in a message.
 *
 * Pure, and written as loops over bytes: every response head of every program passes through here.
 */
import type { ByteString } from '../gateway.js'
import { readableBytes } from '../process/stderr-lines.js'

const QUOTED_BYTES = 200

/** 1 for the bytes of a token (RFC 9110 §5.6.2). */
const tokenBytes = new Uint8Array(256)
for (const character of "!#$%&'*+-.^_`|~0123456789") tokenBytes[character.charCodeAt(0)] = 1
for (let letter = 0x41; letter <= 0x5a; letter++) tokenBytes[letter] = tokenBytes[letter | 0x20] = 1

/** Whether these bytes are a token, for example a field name. */
export function isToken(bytes: Buffer, start: number, end: number): boolean {
  if (start === end) return false
  for (let at = start; at < end; at++) {
    if (tokenBytes[bytes[at] ?? 0] === 0) return false
  }
  return true
}

/** Whether any of these bytes is a control character other than a tab. */
export function hasControls(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0
    if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f) return true
  }
  return false
}

/** Space or tab. */
export function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09
}

/** The number that these decimal digits are, or undefined when they are anything else or not exact. */
export function digits(text: string): number | undefined {
  if (text === '') return undefined
  for (let at = 0; at < text.length; at++) {
    if (!isDigit(text.charCodeAt(at))) return undefined
  }
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : undefined
}

/** Whether a line begins like an HTTP/1.x status line. */
export function startsWithHttp1(text: string): boolean {
  return text.startsWith('HTTP/1.') && isDigit(text.charCodeAt(7)) && text[8] === ' '
}

/** Lower-case members of a comma-separated list. */
export function listMembers(value: string): string[] {
  const members = value.toLowerCase().split(',')
  return members.map(member => member.trim())
}

/** At most 200 bytes, printable, in quotes. */
export function quoteBytes(bytes: Buffer): string {
  if (bytes.length <= QUOTED_BYTES) return `"${readableBytes(bytes)}"`
  return `"${readableBytes(bytes.subarray(0, QUOTED_BYTES))}…"`
}

/** The same for a byte string. */
export function quoteText(text: ByteString): string {
  return quoteBytes(Buffer.from(text, 'latin1'))
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}
