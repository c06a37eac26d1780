/**
 * What a request has to say and has not said yet, and its bytes: STDERR and STDOUT records, then the ends
 * of the streams and END_REQUEST (FastCGI §3.3, §5.3, §5.5; conventions G-54).
 *
 * Pure. A small answer becomes one buffer; large chunks are not copied, only given headers. Bounded by the
 * writer, who waits until what was given has been taken.
 */
import { headerBytes, maxContentBytes, paddingFor, recordType, writeHeader } from './record.js'

/** Up to so many bytes are copied into one buffer: copying them is cheaper than one more piece to write. */
const copiedBytes = 16 * 1024
/** Contents of full records: the longest that needs no padding. */
const fullContentBytes = maxContentBytes - (maxContentBytes % 8)
/** Chunks that are smaller on average than this are put together. */
const smallChunkBytes = 4 * 1024
const endBytes = headerBytes + 8
const zeros = Buffer.alloc(8)

export class PendingRecords {
  readonly #id: number
  #chunks: (Buffer | string)[] = []
  #encodings: BufferEncoding[] = []
  #bytes = 0
  #errors: Buffer[] = []
  #usedStderr = false
  /** Of an END_REQUEST that has not been taken. */
  #appStatus: number | undefined

  constructor(id: number) {
    this.#id = id
  }

  /** Content of STDOUT; a buffer is not copied and must not change until it has been written. */
  add(data: Buffer | string, encoding: BufferEncoding): void {
    if (data.length === 0) return
    this.#bytes += typeof data === 'string' ? Buffer.byteLength(data, encoding) : data.length
    this.#chunks.push(data)
    this.#encodings.push(encoding)
  }

  /** Content of STDERR, under the same rule. */
  addError(data: Buffer): void {
    if (data.length > 0) this.#errors.push(data)
  }

  /** The request is over: the ends of its streams and END_REQUEST with REQUEST_COMPLETE. Called once, nothing is given after it. */
  end(appStatus: number): void {
    this.#appStatus = appStatus
  }

  /** Forgets STDOUT that has not been taken. */
  drop(): void {
    this.#chunks = []
    this.#encodings = []
    this.#bytes = 0
  }

  /** Appends the bytes of everything given since the last call. */
  take(target: Buffer[]): void {
    if (this.#errors.length > 0) {
      for (const chunk of this.#errors) this.#records(target, recordType.stderr, chunk)
      this.#errors = []
      this.#usedStderr = true
    }
    if (this.#bytes <= copiedBytes) {
      this.#takeSmall(target)
    } else {
      for (const chunk of this.#buffers()) this.#records(target, recordType.stdout, chunk)
      this.#bytes = 0
      this.#takeSmall(target)
    }
    this.drop()
  }

  /** At most one STDOUT record, and the end if it has come, as one buffer. */
  #takeSmall(target: Buffer[]): void {
    const bytes = this.#bytes
    const padding = paddingFor(bytes)
    const appStatus = this.#appStatus
    const contentSize = bytes === 0 ? 0 : headerBytes + bytes + padding
    const endSize =
      appStatus !== undefined ? headerBytes + (this.#usedStderr ? headerBytes : 0) + endBytes : 0
    if (contentSize + endSize === 0) return
    const buffer = Buffer.allocUnsafe(contentSize + endSize)
    let at = 0
    if (bytes > 0) {
      at = writeHeader(buffer, 0, recordType.stdout, this.#id, bytes, padding)
      for (let index = 0; index < this.#chunks.length; index++) at += this.#write(buffer, at, index)
      at += zeros.copy(buffer, at, 0, padding)
    }
    if (appStatus !== undefined) this.#writeEnd(buffer, at, appStatus)
    target.push(buffer)
  }

  #write(buffer: Buffer, at: number, index: number): number {
    const chunk = this.#chunks[index] ?? ''
    if (typeof chunk === 'string') return buffer.write(chunk, at, this.#encodings[index])
    return chunk.copy(buffer, at)
  }

  #writeEnd(buffer: Buffer, start: number, appStatus: number): void {
    this.#appStatus = undefined
    let at = writeHeader(buffer, start, recordType.stdout, this.#id, 0, 0)
    if (this.#usedStderr) at = writeHeader(buffer, at, recordType.stderr, this.#id, 0, 0)
    at = writeHeader(buffer, at, recordType.endRequest, this.#id, 8, 0)
    at = buffer.writeUInt32BE(appStatus, at)
    buffer.fill(0, at, at + 4)
  }

  #buffers(): Buffer[] {
    const buffers = this.#chunks.map((chunk, index) =>
      typeof chunk === 'string' ? Buffer.from(chunk, this.#encodings[index]) : chunk,
    )
    return this.#bytes < buffers.length * smallChunkBytes ? [Buffer.concat(buffers)] : buffers
  }

  #records(target: Buffer[], type: number, chunk: Buffer): void {
    for (let start = 0; start < chunk.length; start += fullContentBytes) {
      const content = chunk.subarray(start, start + fullContentBytes)
      const padding = paddingFor(content.length)
      const header = Buffer.allocUnsafe(headerBytes)
      writeHeader(header, 0, type, this.#id, content.length, padding)
      target.push(header, content)
      if (padding > 0) target.push(zeros.subarray(0, padding))
    }
  }
}
