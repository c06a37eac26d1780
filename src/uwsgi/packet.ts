/**
 * The packet of uwsgi, both ways: two modifiers, a length, variables; the body follows as it is.
 *
 * Pure. Lengths are 16 bits, little endian, which bounds a packet at 64 KiB and what a decoder keeps with it.
 * What a modifier asks for is for the caller to allow; nothing here ever acts on one (H-10).
 */
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'

/** Bytes of all variables with their lengths: what the size of a packet can say. */
export const maxBlockBytes = 0xffff
const headerBytes = 4
const pingModifier = 100

/** Asks a uwsgi server whether it is there (H-9); `isAlive` reads the answer. */
export const pingPacket = Buffer.from([pingModifier, 0, 0, 0])

/** Whether the answer to a ping says that the server is there: the same modifier, with 1 behind (H-9). */
export function isAlive(answer: Buffer): boolean {
  return answer.length >= headerBytes && answer[0] === pingModifier && answer[3] === 1
}

/**
 * A request's packet (H-6); its body follows it, as many bytes as CONTENT_LENGTH says.
 * @param modifier1 0 to 255: which plugin is to answer: 0 Python, 5 Perl, 9 CGI (H-8)
 * @param modifier2 0 to 255
 * @throws GatewayError ENVIRONMENT_TOO_LARGE past 65,535 bytes of variables (H-7)
 */
export function encodeUwsgiPacket(
  variables: ReadonlyMap<ByteString, ByteString>,
  modifier1: number,
  modifier2 = 0,
): Buffer {
  let text = ''
  for (const [name, value] of variables) {
    text += size16(name.length) + name + size16(value.length) + value
  }
  if (text.length > maxBlockBytes) {
    const said = `All variables together have ${text.length} bytes; uwsgi takes ${maxBlockBytes}.`
    throw new GatewayError('ENVIRONMENT_TOO_LARGE', said)
  }
  const header = String.fromCharCode(modifier1) + size16(text.length)
  return Buffer.from(`${header}${String.fromCharCode(modifier2)}${text}`, 'latin1')
}

/** 16 bits, little endian. What does not fit makes the block too long as well, and is refused with it. */
function size16(size: number): ByteString {
  return String.fromCharCode(size & 0xff, (size >>> 8) & 0xff)
}

/** A packet as it came. */
export interface UwsgiPacket {
  readonly modifier1: number
  readonly modifier2: number
  /** Name, value, name, value… in the order in which they came. */
  readonly pairs: readonly ByteString[]
  /** The same by name; of two with the same name the last. */
  readonly variables: ReadonlyMap<ByteString, ByteString>
  /** Bytes of the chunk behind the packet: the beginning of the body. A part of the chunk, not a copy. */
  readonly rest: Buffer
}

/** Reads one packet. Of no use once it has thrown, or has given its packet. */
export class UwsgiPacketDecoder {
  readonly #header = Buffer.alloc(headerBytes)
  #headerHave = 0
  /** The block as far as it has come; whole as soon as its size is known, since that is small. */
  #block: Buffer | undefined
  #blockHave = 0

  /**
   * The packet, with the chunk that completes it; undefined before.
   * @throws GatewayError PROTOCOL_ERROR for a client that speaks HTTP (H-11), or a variable past the end
   */
  push(chunk: Buffer): UwsgiPacket | undefined {
    let at = 0
    if (this.#block === undefined) {
      at = chunk.copy(this.#header, this.#headerHave)
      this.#headerHave += at
      if (this.#headerHave < headerBytes) return undefined
      if (isHttp(this.#header)) {
        throw broken('The client speaks HTTP: its request is no uwsgi packet.')
      }
      this.#block = Buffer.alloc(this.#header.readUInt16LE(1))
    }
    const end = Math.min(chunk.length, at + this.#block.length - this.#blockHave)
    this.#blockHave += chunk.copy(this.#block, this.#blockHave, at, end)
    if (this.#blockHave < this.#block.length) return undefined
    return this.#packet(this.#block, chunk.subarray(end))
  }

  #packet(block: Buffer, rest: Buffer): UwsgiPacket {
    const pairs = readPairs(block)
    const variables = new Map<ByteString, ByteString>()
    for (let at = 0; at < pairs.length; at += 2) variables.set(pairs[at] ?? '', pairs[at + 1] ?? '')
    return {
      modifier1: this.#header[0] ?? 0,
      modifier2: this.#header[3] ?? 0,
      pairs,
      variables,
      rest,
    }
  }
}

/** Names and values, one behind the other. */
function readPairs(block: Buffer): ByteString[] {
  const texts: ByteString[] = []
  let at = 0
  while (at < block.length) {
    const start = at + 2
    const end = start > block.length ? start : start + block.readUInt16LE(at)
    if (end > block.length) throw broken('A variable is longer than its packet.')
    texts.push(block.toString('latin1', start, end))
    at = end
  }
  if (texts.length % 2 === 1) throw broken('The last variable has no value.')
  return texts
}

/** How requests of HTTP begin; no plugin of uWSGI has a capital letter for its modifier. */
const httpBeginnings = new Set([
  ...['GET ', 'HEAD', 'POST', 'PUT ', 'DELE', 'OPTI', 'PATC', 'CONN', 'TRAC', 'PRI '],
])

/** Whether the first four bytes are HTTP's (H-11): `GET ` would be a packet of 21,573 bytes. */
function isHttp(header: Buffer): boolean {
  return httpBeginnings.has(header.toString('latin1'))
}

function broken(what: string): GatewayError {
  return new GatewayError('PROTOCOL_ERROR', what)
}
