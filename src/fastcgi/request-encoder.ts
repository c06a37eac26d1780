/**
 * The beginning of a request as one buffer: BEGIN_REQUEST, PARAMS, and a small body with the ends of both
 * streams (FastCGI §5.1 to §5.3, conventions G-1, G-2).
 *
 * Pure. Sizes are counted first, so that everything is written once, into one buffer, for one write. What
 * may grow is bounded by the limits on the request's head and by `maxParamsBytes`.
 */
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'
import { pairText } from './name-value.js'
import {
  headerBytes,
  keepConnectionFlag,
  maxContentBytes,
  paddingFor,
  recordType,
  writeHeader,
} from './record.js'

/** All PARAMS of one request: more than any worker reads, and a bound. */
export const maxParamsBytes = 2 * 1024 * 1024

export interface RequestBeginning {
  readonly id: number
  /** Code of the role. */
  readonly role: number
  readonly keepConnection: boolean
  /** Pairs that are the same for all requests of a route, encoded (`encodePairs`); they come first. */
  readonly fixedPairs: Buffer
  readonly variables: ReadonlyMap<ByteString, ByteString>
  /**
   * The whole body when it is at hand (at most 65,535 bytes), empty when there is none; its stream is ended.
   * Undefined: STDIN records follow.
   */
  readonly body: Buffer | undefined
}

/**
 * The whole beginning, for one write.
 * @throws GatewayError ENVIRONMENT_TOO_LARGE past `maxParamsBytes`; RangeError for a body that no record holds
 */
export function encodeRequest(beginning: RequestBeginning): Buffer {
  const { id, fixedPairs, variables, body } = beginning
  let pairs = ''
  for (const [name, value] of variables) pairs += pairText(name, value)
  const paramsBytes = fixedPairs.length + pairs.length
  if (paramsBytes > maxParamsBytes) {
    const said = `${paramsBytes} bytes of variables; the limit is ${maxParamsBytes}.`
    throw new GatewayError('ENVIRONMENT_TOO_LARGE', said)
  }
  if (body !== undefined && body.length > maxContentBytes) {
    throw new RangeError(`a record holds ${maxContentBytes} bytes, not ${body.length}`)
  }
  const records = Math.ceil(paramsBytes / maxContentBytes)
  const lastPadding = records === 0 ? 0 : paddingFor(paramsBytes - (records - 1) * maxContentBytes)
  const fullPaddings = Math.max(0, records - 1) * paddingFor(maxContentBytes)
  const beginBytes = headerBytes + 8
  const paramsEnd = beginBytes + records * headerBytes + paramsBytes + fullPaddings + lastPadding
  const bodyBytes = body === undefined ? 0 : stdinBytes(body.length)
  const target = Buffer.allocUnsafe(paramsEnd + headerBytes + bodyBytes)

  let at = writeHeader(target, 0, recordType.beginRequest, id, 8, 0)
  target.fill(0, at, at + 8)
  target[at + 1] = beginning.role
  target[at + 2] = beginning.keepConnection ? keepConnectionFlag : 0
  at += 8
  const start = at + headerBytes
  at = start + fixedPairs.copy(target, start)
  at += target.write(pairs, at, 'latin1')
  // A record without content would end the stream: no pairs, no record.
  if (records === 0) at = beginBytes
  else if (records > 1) at = cutIntoRecords(target, start, at, id)
  else {
    writeHeader(target, start - headerBytes, recordType.params, id, paramsBytes, lastPadding)
    at = pad(target, at, lastPadding)
  }
  at = writeHeader(target, at, recordType.params, id, 0, 0)
  if (body !== undefined) writeStdin(target, at, id, body)
  return target
}

function stdinBytes(length: number): number {
  return headerBytes + (length === 0 ? 0 : headerBytes + length + paddingFor(length))
}

function writeStdin(target: Buffer, start: number, id: number, body: Buffer): void {
  let at = start
  if (body.length > 0) {
    const padding = paddingFor(body.length)
    at = writeHeader(target, at, recordType.stdin, id, body.length, padding)
    at += body.copy(target, at)
    at = pad(target, at, padding)
  }
  writeHeader(target, at, recordType.stdin, id, 0, 0)
}

function pad(target: Buffer, at: number, padding: number): number {
  target.fill(0, at, at + padding)
  return at + padding
}

/** Pairs were written in one piece from `start` on: moves the pieces apart, last first, and puts headers between. */
function cutIntoRecords(target: Buffer, start: number, end: number, id: number): number {
  const total = end - start
  const records = Math.ceil(total / maxContentBytes)
  const stride = headerBytes + maxContentBytes + paddingFor(maxContentBytes)
  let behind = 0
  for (let index = records - 1; index >= 0; index--) {
    const from = index * maxContentBytes
    const length = Math.min(maxContentBytes, total - from)
    const padding = paddingFor(length)
    const at = start + index * stride
    target.copyWithin(at, start + from, start + from + length)
    writeHeader(target, at - headerBytes, recordType.params, id, length, padding)
    pad(target, at + length, padding)
    if (index === records - 1) behind = at + length + padding
  }
  return behind
}
