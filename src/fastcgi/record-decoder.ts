/**
 * Bytes of a connection → records, whatever the pieces they come in.
 *
 * Contents of streams (STDIN, STDOUT, …) are handed on as they come, without a copy: one record may be
 * several pieces, and only a record without content says that its stream `ends`. Everything else is small
 * or bounded: what is held is at most a header, or the content of one management record. Pure.
 */
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'
import { PairReader } from './name-value.js'
import {
  type FcgiRecord,
  headerBytes,
  keepConnectionFlag,
  recordType,
  type StreamName,
  version,
} from './record.js'

/** Names of the stream records by their code. */
const streamNames: readonly (StreamName | undefined)[] = Array.from({ length: 12 }, (_, code) =>
  (['params', 'stdin', 'stdout', 'stderr', 'data'] as const).find(
    name => recordType[name] === code,
  ),
)

const nothing = Buffer.alloc(0)
/** Pairs in one GET_VALUES or its result; three names are known. */
const maxValues = 100

export class RecordDecoder {
  readonly #onRecord: (record: FcgiRecord) => void
  /** The header that is not whole, or the content that is. */
  readonly #header = Buffer.alloc(headerBytes)
  #headerHave = 0
  #content: Buffer | undefined
  #contentHave = 0
  #type = 0
  #id = 0
  /** Content and padding still to come of the record whose header was read. */
  #contentLeft = 0
  #paddingLeft = 0
  #inRecord = false

  /** `onRecord` may get pieces of the buffer that `push` was given: they are valid as long as that is. */
  constructor(onRecord: (record: FcgiRecord) => void) {
    this.#onRecord = onRecord
  }

  /** Whether the bytes so far end with a record. */
  get atBoundary(): boolean {
    return !this.#inRecord && this.#headerHave === 0
  }

  /**
   * @throws GatewayError PROTOCOL_ERROR for a version other than 1, or a body that does not fit its type; the
   * decoder is of no use afterwards
   */
  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      if (!this.#inRecord) {
        at = this.#readHeader(chunk, at)
        continue
      }
      if (this.#contentLeft > 0) {
        const end = Math.min(chunk.length, at + this.#contentLeft)
        this.#contentLeft -= end - at
        this.#take(chunk, at, end)
        at = end
      }
      if (this.#contentLeft > 0) return
      const skipped = Math.min(chunk.length - at, this.#paddingLeft)
      at += skipped
      this.#paddingLeft -= skipped
      if (this.#paddingLeft === 0) this.#inRecord = false
    }
  }

  #readHeader(chunk: Buffer, start: number): number {
    if (this.#headerHave === 0 && chunk.length - start >= headerBytes) {
      this.#begin(chunk, start)
      return start + headerBytes
    }
    const end = Math.min(chunk.length, start + headerBytes - this.#headerHave)
    this.#headerHave += chunk.copy(this.#header, this.#headerHave, start, end)
    // At once: whoever speaks another protocol may wait for us without ever sending 8 bytes.
    refuseVersion(this.#header[0])
    if (this.#headerHave === headerBytes) {
      this.#headerHave = 0
      this.#begin(this.#header, 0)
    }
    return end
  }

  #begin(bytes: Buffer, at: number): void {
    refuseVersion(bytes[at])
    this.#type = bytes[at + 1] ?? 0
    this.#id = bytes.readUInt16BE(at + 2)
    this.#contentLeft = bytes.readUInt16BE(at + 4)
    this.#paddingLeft = bytes[at + 6] ?? 0
    this.#inRecord = this.#contentLeft > 0 || this.#paddingLeft > 0
    const stream = streamNames[this.#type]
    if (stream === undefined) {
      this.#beginWhole()
    } else if (this.#contentLeft === 0) {
      this.#onRecord({ type: stream, id: this.#id, content: nothing, ends: true })
    }
  }

  /** A record that is handed on as a whole; of an unknown type the content is not kept. */
  #beginWhole(): void {
    if (this.#type === 0 || this.#type > recordType.unknownType) {
      this.#onRecord({ type: 'unknown', id: this.#id, code: this.#type })
      return
    }
    if (this.#contentLeft > 0) {
      this.#content = Buffer.allocUnsafe(this.#contentLeft)
      this.#contentHave = 0
      return
    }
    this.#onRecord(this.#whole(nothing))
  }

  #take(chunk: Buffer, start: number, end: number): void {
    const stream = streamNames[this.#type]
    if (stream !== undefined) {
      const content = chunk.subarray(start, end)
      this.#onRecord({ type: stream, id: this.#id, content, ends: false })
      return
    }
    const content = this.#content
    if (content === undefined) return
    this.#contentHave += chunk.copy(content, this.#contentHave, start, end)
    if (this.#contentLeft > 0) return
    this.#content = undefined
    this.#onRecord(this.#whole(content))
  }

  #whole(content: Buffer): FcgiRecord {
    const id = this.#id
    switch (this.#type) {
      case recordType.beginRequest: {
        this.#atLeast(content, 8, 'BEGIN_REQUEST')
        const keepConnection = ((content[2] ?? 0) & keepConnectionFlag) !== 0
        return { type: 'beginRequest', id, role: content.readUInt16BE(0), keepConnection }
      }
      case recordType.abortRequest:
        return { type: 'abortRequest', id }
      case recordType.endRequest:
        this.#atLeast(content, 8, 'END_REQUEST')
        return {
          type: 'endRequest',
          id,
          appStatus: content.readUInt32BE(0),
          protocolStatus: content[4] ?? 0,
        }
      case recordType.getValues:
        return { type: 'getValues', values: readValues(content) }
      case recordType.getValuesResult:
        return { type: 'getValuesResult', values: readValues(content) }
      case recordType.unknownType:
        this.#atLeast(content, 8, 'UNKNOWN_TYPE')
        return { type: 'unknownType', unknown: content[0] ?? 0 }
      default:
        return { type: 'unknown', id, code: this.#type }
    }
  }

  #atLeast(content: Buffer, bytes: number, name: string): void {
    if (content.length >= bytes) return
    const said = `${name} has a body of ${content.length} bytes, not ${bytes}.`
    throw new GatewayError('PROTOCOL_ERROR', said)
  }
}

function refuseVersion(byte: number | undefined): void {
  if (byte === version) return
  throw new GatewayError('PROTOCOL_ERROR', `A record has version ${byte}, not 1.`)
}

function readValues(content: Buffer): [ByteString, ByteString][] {
  const values: [ByteString, ByteString][] = []
  const limits = { bytes: content.length, pairs: maxValues }
  const reader = new PairReader(limits, (name, value) => values.push([name, value]))
  reader.push(content)
  reader.end()
  return values
}
