/**
 * FastCGI 1.0 records: their numbers, their shapes, and their bytes (specification §3.3, §5, §8).
 *
 * Pure: values in, bytes out. Reading bytes is `record-decoder.ts`; the name-value pairs inside some records
 * are `name-value.ts`; a whole request at once is `request-encoder.ts`.
 */
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'
import { encodePairs } from './name-value.js'

/** FCGI_VERSION_1, the only one there is. */
export const version = 1
export const headerBytes = 8
/** Longest content of one record. */
export const maxContentBytes = 65_535

/** Record types by name (§8). */
export const recordType = {
  beginRequest: 1,
  abortRequest: 2,
  endRequest: 3,
  params: 4,
  stdin: 5,
  stdout: 6,
  stderr: 7,
  data: 8,
  getValues: 9,
  getValuesResult: 10,
  unknownType: 11,
} as const

/** Records whose contents make a stream; one without content ends it (§3.3). */
export type StreamName = 'params' | 'stdin' | 'stdout' | 'stderr' | 'data'

export const role = { responder: 1, authorizer: 2, filter: 3 } as const
export type Role = keyof typeof role

/** protocolStatus of an END_REQUEST (§5.5). */
export const protocolStatus = {
  requestComplete: 0,
  cannotMultiplex: 1,
  overloaded: 2,
  unknownRole: 3,
} as const

/** FCGI_KEEP_CONN in the flags of a BEGIN_REQUEST. */
export const keepConnectionFlag = 1

/** One record as it is read. Contents of streams come in pieces: see `record-decoder.ts`. */
export type FcgiRecord =
  | {
      readonly type: 'beginRequest'
      readonly id: number
      /** As sent, 0 to 65535: an unknown one has an answer of its own. */
      readonly role: number
      readonly keepConnection: boolean
    }
  | { readonly type: 'abortRequest'; readonly id: number }
  | {
      readonly type: 'endRequest'
      readonly id: number
      /** Unsigned, 32 bits. */
      readonly appStatus: number
      /** As sent, 0 to 255. */
      readonly protocolStatus: number
    }
  | {
      readonly type: StreamName
      readonly id: number
      readonly content: Buffer
      readonly ends: boolean
    }
  | {
      readonly type: 'getValues' | 'getValuesResult'
      readonly values: readonly (readonly [name: ByteString, value: ByteString])[]
    }
  | { readonly type: 'unknownType'; readonly unknown: number }
  /** A type that this version does not know (§4.2: answered when the id is 0, ignored otherwise). */
  | { readonly type: 'unknown'; readonly id: number; readonly code: number }

/** Bytes that bring `length` to a multiple of 8 (§3.3 recommends the alignment). */
export function paddingFor(length: number): number {
  return -length & 7
}

/** Writes a record header at `at` and answers the offset behind it. */
export function writeHeader(
  target: Buffer,
  at: number,
  type: number,
  id: number,
  contentLength: number,
  padding: number,
): number {
  target[at] = version
  target[at + 1] = type
  target[at + 2] = id >>> 8
  target[at + 3] = id & 0xff
  target[at + 4] = contentLength >>> 8
  target[at + 5] = contentLength & 0xff
  target[at + 6] = padding
  target[at + 7] = 0
  return at + headerBytes
}

/** BEGIN_REQUEST (§5.1). */
export function encodeBeginRequest(id: number, roleCode: number, keepConnection: boolean): Buffer {
  const record = Buffer.alloc(headerBytes + 8)
  const at = writeHeader(record, 0, recordType.beginRequest, id, 8, 0)
  record.writeUInt16BE(roleCode, at)
  record[at + 2] = keepConnection ? keepConnectionFlag : 0
  return record
}

/** ABORT_REQUEST (§5.4). */
export function encodeAbortRequest(id: number): Buffer {
  const record = Buffer.alloc(headerBytes)
  writeHeader(record, 0, recordType.abortRequest, id, 0, 0)
  return record
}

/** END_REQUEST (§5.5). */
export function encodeEndRequest(id: number, appStatus: number, status: number): Buffer {
  const record = Buffer.alloc(headerBytes + 8)
  const at = writeHeader(record, 0, recordType.endRequest, id, 8, 0)
  record.writeUInt32BE(appStatus, at)
  record[at + 4] = status
  return record
}

/**
 * The header of a record of a stream; its content of at most 65,535 bytes follows, then `padding` bytes.
 * @throws RangeError for more: the header would say less than follows, and both sides be out of step for good
 */
export function encodeStreamHeader(
  stream: StreamName,
  id: number,
  contentLength: number,
  padding: number,
): Buffer {
  refuseLonger(contentLength)
  const header = Buffer.allocUnsafe(headerBytes)
  writeHeader(header, 0, recordType[stream], id, contentLength, padding)
  return header
}

/**
 * One whole record of a stream, padded; without content it ends the stream.
 * @throws RangeError for more than 65,535 bytes
 */
export function encodeStreamRecord(stream: StreamName, id: number, content: Buffer): Buffer {
  refuseLonger(content.length)
  const padding = paddingFor(content.length)
  const record = Buffer.alloc(headerBytes + content.length + padding)
  const at = writeHeader(record, 0, recordType[stream], id, content.length, padding)
  content.copy(record, at)
  return record
}

function refuseLonger(contentLength: number): void {
  if (contentLength <= maxContentBytes) return
  throw new RangeError(`a record holds ${maxContentBytes} bytes, not ${contentLength}`)
}

/**
 * GET_VALUES and its result (§4.1), both with request id 0.
 * @throws GatewayError ENVIRONMENT_TOO_LARGE when the pairs do not fit in one record
 */
export function encodeValues(
  type: 'getValues' | 'getValuesResult',
  values: Iterable<readonly [ByteString, ByteString]>,
): Buffer {
  const content = encodePairs(values)
  if (content.length > maxContentBytes) {
    throw new GatewayError('ENVIRONMENT_TOO_LARGE', 'FCGI_GET_VALUES fits in one record only.')
  }
  const padding = paddingFor(content.length)
  const record = Buffer.alloc(headerBytes + content.length + padding)
  const at = writeHeader(record, 0, recordType[type], 0, content.length, padding)
  content.copy(record, at)
  return record
}

/** UNKNOWN_TYPE (§4.2). */
export function encodeUnknownType(unknown: number): Buffer {
  const record = Buffer.alloc(headerBytes + 8)
  const at = writeHeader(record, 0, recordType.unknownType, 0, 8, 0)
  record[at] = unknown
  return record
}
