/**
 * What an HTTP/1.x response head means (RFC 9112 §4 to §6): status, framing, the fields that pass.
 *
 * Pure. An HTTP server has no excuse for a head that two readers could understand differently: two lengths, a
 * length beside a transfer coding, a name that is no token or a folded line end the request with 502, since what
 * follows on the connection cannot be trusted. The caller bounds the bytes; fields are counted here.
 */
import { digits, hasControls, isToken, listMembers, quoteText } from '../cgi/field-syntax.js'
import type { ResponseHead } from '../cgi/response-head.js'
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'

/** How the end of a body is known (RFC 9112 §6.3). */
export type Framing = 'none' | 'length' | 'chunked' | 'close'

/** What of a request and its route decides about the head that answers it. */
export interface HeadContext {
  readonly isHead: boolean
  /** Fields that a head may have. */
  readonly maxFields: number
  /** X-Sendfile and X-Accel-Redirect are orders to the server and not fields for the client. */
  readonly sendfile: boolean
}

/** A complete head. */
export interface UpstreamHead extends ResponseHead {
  readonly framing: Framing
  /** The connection may carry another request after this one. */
  readonly keepAlive: boolean
  /** The Upgrade field, for 101. */
  readonly upgrade: ByteString | undefined
}

type Kind = 'length' | 'connection' | 'transfer-encoding' | 'upgrade' | 'hop' | 'sendfile'

/** Fields with a meaning of their own, by lower-case name; all others pass as they are. */
const kinds: ReadonlyMap<string, Kind> = new Map([
  ['content-length', 'length'],
  ['connection', 'connection'],
  ['transfer-encoding', 'transfer-encoding'],
  ['upgrade', 'upgrade'],
  ['keep-alive', 'hop'],
  ['proxy-connection', 'hop'],
  ['te', 'hop'],
  ['trailer', 'hop'],
  // Ours is the server that the client speaks to.
  ['server', 'hop'],
  ['x-sendfile', 'sendfile'],
  ['x-accel-redirect', 'sendfile'],
])

interface Fields {
  readonly headers: ByteString[]
  length: number | undefined
  connection: ByteString | undefined
  upgrade: ByteString | undefined
  chunked: boolean
  sendfile: ByteString | undefined
  readonly warnings: string[]
}

const COLON = 0x3a
const statusLine = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: (.*))?$/

/**
 * Reads the head in `bytes`, whose lines end with CR LF and whose last, empty line ends at `end`.
 * @throws GatewayError UPSTREAM_BAD_HEAD, UPSTREAM_HEAD_TOO_LARGE
 */
export function readHead(bytes: Buffer, end: number, context: HeadContext): UpstreamHead {
  const text = bytes.toString('latin1', 0, end)
  const firstEnd = text.indexOf('\r\n')
  const line = text.slice(0, firstEnd)
  const parts = statusLine.exec(line)
  if (parts === null) throw badHead(`Its first line is ${quoteText(line)}`)
  const [, minor, code, said] = parts
  const status = Number(code)
  const fields = readFields(text, bytes, firstEnd + 2, context)
  if (fields.chunked && minor === '0') throw badHead('It sent a Transfer-Encoding with HTTP/1.0.')
  if (fields.chunked && fields.length !== undefined) {
    throw badHead('It sent a Content-Length and a Transfer-Encoding.')
  }
  const options = fields.connection === undefined ? [] : listMembers(fields.connection)
  const framing = framingOf(status, fields, context.isHead)
  const keeps = minor === '1' ? !options.includes('close') : options.includes('keep-alive')
  return {
    status,
    reason: reasonOf(said),
    headers: withoutNamed(fields.headers, options),
    length: fields.length,
    // Of the connection behind us, not of the client's.
    close: false,
    statusGiven: true,
    localRedirect: undefined,
    sendfile: fields.sendfile,
    chunked: false,
    warnings: fields.warnings,
    framing,
    keepAlive: keeps && framing !== 'close',
    upgrade: fields.upgrade,
  }
}

function readFields(text: ByteString, bytes: Buffer, from: number, context: HeadContext): Fields {
  const fields: Fields = {
    headers: [],
    length: undefined,
    connection: undefined,
    upgrade: undefined,
    chunked: false,
    sendfile: undefined,
    warnings: [],
  }
  let count = 0
  let start = from
  for (;;) {
    const end = text.indexOf('\r\n', start)
    if (end === start || end === -1) return fields
    if (++count > context.maxFields) {
      const said = `It has more than ${context.maxFields} fields.`
      throw new GatewayError('UPSTREAM_HEAD_TOO_LARGE', said)
    }
    readField(fields, text, bytes, start, end, context)
    start = end + 2
  }
}

function readField(
  fields: Fields,
  text: ByteString,
  bytes: Buffer,
  start: number,
  end: number,
  context: HeadContext,
): void {
  let colon = start
  while (colon < end && bytes[colon] !== COLON) colon++
  if (colon === end || !isToken(bytes, start, colon)) {
    throw badHead(`It has a line that is no field: ${quoteText(text.slice(start, end))}`)
  }
  const name = text.slice(start, colon)
  const value = text.slice(colon + 1, end).trim()
  const kind = kinds.get(name.toLowerCase())
  if (hasControls(bytes, colon + 1, end)) {
    if (kind !== undefined || splits(value)) {
      throw badHead(`It has a control character in ${quoteText(text.slice(start, end))}`)
    }
    fields.warnings.push(`Dropped ${quoteText(text.slice(start, end))}: control characters.`)
    return
  }
  if (kind === undefined) fields.headers.push(name, value)
  else understand(fields, kind, name, value, context)
}

function understand(
  fields: Fields,
  kind: Kind,
  name: ByteString,
  value: ByteString,
  context: HeadContext,
): void {
  switch (kind) {
    case 'length': {
      const length = digits(value)
      if (length === undefined) throw badHead(`Its Content-Length is ${quoteText(value)}`)
      if (fields.length !== undefined) throw badHead('It has more than one Content-Length.')
      fields.length = length
      return
    }
    case 'transfer-encoding':
      if (fields.chunked || value.toLowerCase() !== 'chunked') {
        throw badHead(`Its Transfer-Encoding is ${quoteText(value)}`)
      }
      fields.chunked = true
      return
    case 'connection':
      fields.connection = fields.connection === undefined ? value : `${fields.connection},${value}`
      return
    case 'upgrade':
      fields.upgrade ??= value
      return
    case 'sendfile':
      if (!context.sendfile) fields.headers.push(name, value)
      else fields.sendfile ??= value
      return
    case 'hop':
      return
    default:
      kind satisfies never
  }
}

function framingOf(status: number, { length, chunked }: Fields, isHead: boolean): Framing {
  if (isHead || status < 200 || status === 204 || status === 304) return 'none'
  if (chunked) return 'chunked'
  return length === undefined ? 'close' : 'length'
}

/** RFC 9110 §7.6.1: fields named in Connection end here. */
function withoutNamed(headers: ByteString[], options: readonly string[]): ByteString[] {
  if (options.every(option => option === 'close' || option === 'keep-alive')) return headers
  return headers.filter((_, at, all) => !options.includes((all[at & ~1] ?? '').toLowerCase()))
}

/** L-8: odd ones and missing ones pass; one that cannot be sent on becomes the standard one. */
function reasonOf(said: ByteString | undefined): ByteString | undefined {
  const reason = said?.trim()
  if (reason === undefined || reason === '') return undefined
  const bytes = Buffer.from(reason, 'latin1')
  return hasControls(bytes, 0, bytes.length) ? undefined : reason
}

function splits(value: ByteString): boolean {
  return value.includes('\r') || value.includes('\n') || value.includes('\0')
}

function badHead(detail: string): GatewayError {
  return new GatewayError('UPSTREAM_BAD_HEAD', detail)
}
