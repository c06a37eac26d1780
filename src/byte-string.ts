/**
 * Byte strings: one character per byte, the form in which node:http gives header text.
 *
 * Paths and variables travel in this form from the socket to the program, so that a byte that is not
 * UTF-8 arrives as it was sent. Pure; nothing else belongs here.
 */
import { isUtf8 } from 'node:buffer'
import type { ByteString } from './gateway.js'

/** The UTF-8 bytes of ordinary text, one character each. ASCII comes back as it is. */
export function fromText(text: string): ByteString {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

/**
 * The text whose UTF-8 bytes these are, or undefined when they are not UTF-8.
 * For interfaces that take only text (a log, `child_process`).
 */
export function toText(bytes: ByteString): string | undefined {
  if (isAscii(bytes)) return bytes
  const buffer = Buffer.from(bytes, 'latin1')
  return isUtf8(buffer) ? buffer.toString('utf8') : undefined
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) return false
  }
  return true
}
