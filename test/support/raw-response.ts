/**
 * Reads HTTP/1.1 responses byte for byte, and strictly: what a lenient client would forgive is an error
 * here (a bare LF, a bad chunk size, two framings). Tells a whole body from one that broke off.
 *
 * Independent of node:http, so that server and test cannot share a mistake. The body is kept in memory
 * unless the caller takes the chunks away.
 */
import type { ByteSource } from './byte-source.js'

/** How the end of a body is known (RFC 9112 §6.3). */
export type Framing = 'none' | 'length' | 'chunked' | 'close'

/** One response; header text is latin-1, one character per byte. */
export interface RawResponse {
  readonly version: string
  readonly status: number
  readonly reason: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** 1xx responses that came before it. */
  readonly interim: readonly RawResponse[]
  readonly framing: Framing
  readonly body: Buffer
  /** The connection ended before the framing said that the body was whole. */
  readonly truncated: boolean
  /** First value of the header, in any case of its name. */
  header(name: string): string | undefined
  /** Every value of the header, in order. */
  all(name: string): string[]
  /** The body as latin-1. */
  text(): string
}

export interface ReadOptions {
  /** The request was HEAD: a length is announced, no body follows. */
  readonly head?: boolean
  /** Takes the chunks of the body as they come; `body` is then empty. */
  readonly onData?: (chunk: Buffer) => void
}

type Head = Pick<RawResponse, 'version' | 'status' | 'reason' | 'headers'>

/**
 * Reads the next response, 1xx ones included.
 * @returns undefined when the connection ended before its first byte
 * @throws Error for anything that is not HTTP/1.1
 */
export async function readOne(
  source: ByteSource,
  options: ReadOptions = {},
): Promise<RawResponse | undefined> {
  const first = await source.line()
  if (first === undefined) return undefined
  const head = await readHead(source, first)
  const framing = framingOf(head, options.head ?? false)
  const chunks: Buffer[] = []
  const onData = options.onData ?? ((chunk: Buffer) => void chunks.push(chunk))
  const whole = await readBody(source, head, framing, onData)
  return response(head, framing, Buffer.concat(chunks), !whole, [])
}

/** Reads up to and with the final response; the 1xx ones are in its `interim`. */
export async function readFinal(
  source: ByteSource,
  options: ReadOptions = {},
): Promise<RawResponse | undefined> {
  const interim: RawResponse[] = []
  for (;;) {
    const next = await readOne(source, options)
    if (next === undefined) return undefined
    if (next.status >= 200 || next.status === 101) return { ...next, interim }
    interim.push(next)
  }
}

async function readHead(source: ByteSource, first: string): Promise<Head> {
  const match = /^(HTTP\/1\.[01]) (\d{3}) ([^\r\n]*)\r\n$/.exec(first)
  if (match === null) throw new Error(`not a status line: ${JSON.stringify(first)}`)
  const [, version = '', status = '', reason = ''] = match
  const headers: [string, string][] = []
  for (;;) {
    const line = await source.line()
    if (line === undefined) throw new Error('the connection ended inside the headers')
    if (line === '\r\n') return { version, status: Number(status), reason, headers }
    const field = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*\r\n$/.exec(line)
    if (field === null) throw new Error(`not a header field: ${JSON.stringify(line)}`)
    headers.push([field[1] ?? '', field[2] ?? ''])
  }
}

function framingOf(head: Head, answersHead: boolean): Framing {
  const lengths = valuesOf(head, 'content-length')
  const codings = valuesOf(head, 'transfer-encoding')
  if (codings.length > 0 && lengths.length > 0) throw new Error('two framings in one response')
  if (lengths.length > 1) throw new Error('more than one Content-Length')
  if (lengths[0] !== undefined && !/^\d+$/.test(lengths[0])) throw new Error('bad Content-Length')
  if (answersHead || head.status < 200 || head.status === 204 || head.status === 304) return 'none'
  if (codings.length > 0) {
    if (codings.join() !== 'chunked') throw new Error(`unexpected coding: ${codings.join()}`)
    return 'chunked'
  }
  return lengths.length > 0 ? 'length' : 'close'
}

async function readBody(
  source: ByteSource,
  head: Head,
  framing: Framing,
  onData: (chunk: Buffer) => void,
): Promise<boolean> {
  switch (framing) {
    case 'none':
      return true
    case 'length':
      return await copy(source, Number(valuesOf(head, 'content-length')[0]), onData)
    case 'close':
      return !(await copy(source, Number.POSITIVE_INFINITY, onData)) && !source.wasReset
    case 'chunked':
      return await readChunks(source, onData)
    default:
      return framing satisfies never
  }
}

/** Reads chunks up to and with the last one and its trailer; false when the stream ended before. */
async function readChunks(source: ByteSource, onData: (chunk: Buffer) => void): Promise<boolean> {
  for (;;) {
    const line = await source.line()
    if (line === undefined) return false
    const size = /^([0-9A-Fa-f]+)\r\n$/.exec(line)?.[1]
    if (size === undefined) throw new Error(`not a chunk size: ${JSON.stringify(line)}`)
    const length = Number.parseInt(size, 16)
    if (!(await copy(source, length, onData))) return false
    const end = await source.line()
    if (end === undefined) return false
    if (end !== '\r\n') throw new Error(`not the end of a chunk: ${JSON.stringify(end)}`)
    if (length === 0) return true
  }
}

/** Hands `length` bytes on; false when the stream ended before. */
async function copy(
  source: ByteSource,
  length: number,
  onData: (chunk: Buffer) => void,
): Promise<boolean> {
  let left = length
  while (left > 0) {
    const chunk = await source.some(left)
    if (chunk === undefined) return false
    left -= chunk.length
    onData(chunk)
  }
  return true
}

function valuesOf(head: Head, name: string): string[] {
  const wanted = name.toLowerCase()
  return head.headers.filter(([key]) => key.toLowerCase() === wanted).map(([, value]) => value)
}

function response(
  head: Head,
  framing: Framing,
  body: Buffer,
  truncated: boolean,
  interim: readonly RawResponse[],
): RawResponse {
  return {
    ...head,
    interim,
    framing,
    body,
    truncated,
    header: name => valuesOf(head, name)[0],
    all: name => valuesOf(head, name),
    text: () => body.toString('latin1'),
  }
}
