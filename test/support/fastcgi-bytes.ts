/**
 * FastCGI records from numbers, by the tables of the specification and never with our own encoder: a
 * mistake made on both sides would pass.
 */

/** Types by the specification's numbers (§8). */
export const BEGIN = 1
export const ABORT = 2
export const END = 3
export const PARAMS = 4
export const STDIN = 5
export const STDOUT = 6
export const STDERR = 7
export const DATA = 8
export const GET_VALUES = 9
export const GET_VALUES_RESULT = 10
export const UNKNOWN_TYPE = 11

/** `hex('01 06 00 01')`; words in quotes are their latin-1 bytes, `00*7` is seven zeros. */
export function hex(text: string): Buffer {
  const parts = text.match(/"[^"]*"|[0-9a-f]{2}(?:\*\d+)?/g)
  if (parts === null) throw new Error(`no bytes in ${text}`)
  return Buffer.concat(parts.map(part => bytesOf(part)))
}

function bytesOf(part: string): Buffer {
  if (part.startsWith('"')) return Buffer.from(part.slice(1, -1), 'latin1')
  const [byte = '', times = '1'] = part.split('*')
  return Buffer.alloc(Number(times), Number.parseInt(byte, 16))
}

/** One record; strings are latin-1. Content over 65,535 bytes is refused: no record holds it. */
export function record(
  type: number,
  id: number,
  content: Buffer | string = '',
  padding = 0,
): Buffer {
  const body = typeof content === 'string' ? Buffer.from(content, 'latin1') : content
  if (body.length > 0xffff) throw new Error('a record holds 65,535 bytes')
  const header = [1, type, id >> 8, id & 255, body.length >> 8, body.length & 255, padding, 0]
  return Buffer.concat([Buffer.from(header), body, Buffer.alloc(padding, 0xaa)])
}

/** BEGIN_REQUEST; role 1 responder, 2 authorizer, 3 filter; flags 1 keeps the connection. */
export function begin(id: number, role = 1, flags = 0): Buffer {
  return record(BEGIN, id, Buffer.from([role >> 8, role & 255, flags, 0, 0, 0, 0, 0]))
}

/** END_REQUEST; status 0 complete, 1 cannot multiplex, 2 overloaded, 3 unknown role. */
export function end(id: number, appStatus = 0, status = 0): Buffer {
  const app = [24, 16, 8, 0].map(shift => (appStatus >>> shift) & 255)
  return record(END, id, Buffer.from([...app, status, 0, 0, 0]))
}

/** A stream's content in records of at most `size` bytes, then the empty one that ends it. */
export function stream(type: number, id: number, content: string, size = 0xffff): Buffer {
  const bytes = Buffer.from(content, 'latin1')
  const records: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) {
    records.push(record(type, id, bytes.subarray(at, at + size)))
  }
  return Buffer.concat([...records, record(type, id)])
}

/** A name-value pair (§3.4); strings are latin-1. */
export function pair(name: string, value: string): Buffer {
  return Buffer.concat([
    pairLength(name.length),
    pairLength(value.length),
    Buffer.from(name + value, 'latin1'),
  ])
}

/** One byte up to 127, else four with the highest bit set. */
export function pairLength(length: number): Buffer {
  if (length < 128) return Buffer.from([length])
  return Buffer.from([
    128 + (length >>> 24),
    (length >> 16) & 255,
    (length >> 8) & 255,
    length & 255,
  ])
}

/** Pairs one behind the other. */
export function pairs(list: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(list.map(([name, value]) => pair(name, value)))
}
