/**
 * The request of SCGI, both ways: a netstring of headers, then the body as it is.
 *
 * Pure. A request is written as one string for one conversion. The decoder takes bytes in pieces of any
 * size and keeps at most `maxHeadBytes` of them; the body is not its business and is handed on.
 */
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'

/** Bytes of the headers that a decoder takes unless told otherwise: what nginx and uWSGI send fits. */
export const defaultMaxHeadBytes = 64 * 1024

const nothing = Buffer.alloc(0)
const colon = 0x3a
const comma = 0x2c
const zero = 0x30
const decimal = /^\d{1,15}$/

/**
 * The netstring of a request (H-1, H-2): CONTENT_LENGTH first and always, then `SCGI` `1`, then the others
 * in their order. What the variables say under these two names does not count.
 * @param contentLength bytes of the body, which follows the netstring; 0 without one
 * @throws GatewayError BAD_HEADER for a NUL byte, or a name that is empty
 */
export function encodeScgiRequest(
  variables: ReadonlyMap<ByteString, ByteString>,
  contentLength: number,
): Buffer {
  let text = `CONTENT_LENGTH\0${contentLength}\0SCGI\x001\0`
  for (const [name, value] of variables) {
    if (name === 'CONTENT_LENGTH' || name === 'SCGI') continue
    if (name === '') throw new GatewayError('BAD_HEADER', 'A variable has no name.')
    if (name.includes('\0') || value.includes('\0')) {
      throw new GatewayError('BAD_HEADER', `${name.replaceAll('\0', '')} holds a NUL byte.`)
    }
    text += `${name}\0${value}\0`
  }
  return Buffer.from(`${text.length}:${text},`, 'latin1')
}

/** The headers of a request. */
export interface ScgiHead {
  /** Name, value, name, value… in the order in which they came. */
  readonly pairs: readonly ByteString[]
  /** The same by name. */
  readonly variables: ReadonlyMap<ByteString, ByteString>
  /** Bytes of the body. */
  readonly contentLength: number
}

/** What a chunk completed. */
export interface ScgiRequest {
  readonly head: ScgiHead
  /** Bytes of the chunk behind the netstring: the beginning of the body. A part of the chunk, not a copy. */
  readonly rest: Buffer
}

/** Reads one request (H-5). Of no use once it has thrown, or has given its request. */
export class ScgiRequestDecoder {
  readonly #maxHeadBytes: number
  #state: 'length' | 'headers' = 'length'
  /** The length as far as its digits are there. */
  #length = 0
  #digits = 0
  /** Headers that are not whole yet. */
  #kept = nothing
  #keptBytes = 0

  /** `maxHeadBytes`: the longest netstring, without its length and comma; default 64 KiB. */
  constructor(maxHeadBytes = defaultMaxHeadBytes) {
    this.#maxHeadBytes = maxHeadBytes
  }

  /** Whether not one byte has come. */
  get isEmpty(): boolean {
    return this.#digits === 0
  }

  /**
   * The request, with the chunk that completes its headers; undefined before.
   * @throws GatewayError PROTOCOL_ERROR for what is no SCGI request, as soon as it shows
   */
  push(chunk: Buffer): ScgiRequest | undefined {
    const start = this.#state === 'length' ? this.#readLength(chunk) : 0
    if (this.#state === 'length') return undefined
    // The comma is looked for where the length says.
    const need = this.#length + 1
    const end = start + need - this.#keptBytes
    if (end > chunk.length) {
      this.#keep(chunk, start, need)
      return undefined
    }
    if (chunk[end - 1] !== comma) throw broken('The netstring does not end with a comma.')
    const head = parseHeaders(this.#text(chunk, start, end - 1))
    return { head, rest: chunk.subarray(end) }
  }

  /** The offset behind what was taken for the length. */
  #readLength(chunk: Buffer): number {
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] ?? 0
      if (byte === colon && this.#digits > 0) {
        this.#state = 'headers'
        return at + 1
      }
      const digit = byte - zero
      if (digit < 0 || digit > 9) throw broken('A request does not begin with a decimal length.')
      if (this.#digits > 0 && this.#length === 0) {
        throw broken('The length of the headers begins with a zero.')
      }
      this.#digits++
      this.#length = this.#length * 10 + digit
      if (this.#length > this.#maxHeadBytes) {
        throw broken(`The headers are longer than ${this.#maxHeadBytes} bytes.`)
      }
    }
    return chunk.length
  }

  /** Grows by doubling: a stranger gets memory for what was sent, not for the length that was promised. */
  #keep(chunk: Buffer, start: number, need: number): void {
    const have = this.#keptBytes + chunk.length - start
    if (have > this.#kept.length) {
      const grown = Buffer.allocUnsafe(Math.min(need, Math.max(2 * have, 64)))
      this.#kept.copy(grown, 0, 0, this.#keptBytes)
      this.#kept = grown
    }
    this.#keptBytes += chunk.copy(this.#kept, this.#keptBytes, start)
  }

  #text(chunk: Buffer, start: number, end: number): ByteString {
    const last = chunk.toString('latin1', start, end)
    return this.#keptBytes === 0 ? last : this.#kept.toString('latin1', 0, this.#keptBytes) + last
  }
}

function parseHeaders(text: ByteString): ScgiHead {
  const pairs: ByteString[] = []
  const variables = new Map<ByteString, ByteString>()
  let at = 0
  while (at < text.length) {
    const nameEnd = text.indexOf('\0', at)
    const valueEnd = nameEnd === -1 ? -1 : text.indexOf('\0', nameEnd + 1)
    if (valueEnd === -1) throw broken('A header is not a name and a value with a NUL behind each.')
    const name = text.slice(at, nameEnd)
    if (name === '') throw broken('A header has no name.')
    if (variables.has(name)) throw broken('A header comes twice.')
    const value = text.slice(nameEnd + 1, valueEnd)
    pairs.push(name, value)
    variables.set(name, value)
    at = valueEnd + 1
  }
  if (pairs[0] !== 'CONTENT_LENGTH') throw broken('The first header is not CONTENT_LENGTH.')
  const length = pairs[1] ?? ''
  if (!decimal.test(length)) throw broken('CONTENT_LENGTH is not a decimal number.')
  if (variables.get('SCGI') !== '1') throw broken('There is no header SCGI with the value 1.')
  return { pairs, variables, contentLength: Number(length) }
}

function broken(what: string): GatewayError {
  return new GatewayError('PROTOCOL_ERROR', what)
}
