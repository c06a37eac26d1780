/**
 * A body as STDIN records, and what a filter reads as DATA records behind it (FastCGI §5.3, §6.4).
 *
 * For `client.ts`, where the order of two bodies is easier said than wired up. Holds one chunk of the body
 * at a time.
 */
import type { Readable } from 'node:stream'
import { encodeStreamHeader, encodeStreamRecord, paddingFor, type StreamName } from './record.js'

/** Largest content of our records: a multiple of 8, so that only the last one is padded (G-3). */
const contentBytes = 32 * 1024

const nothing = Buffer.alloc(0)
const zeros = Buffer.alloc(8)

/**
 * Buffers to write one behind the other; headers and contents are apart, so that no content is copied.
 * `onBytes` gets each as it is handed on.
 */
export async function* streamRecords(
  id: number,
  body: Buffer | Readable,
  data: Buffer | Readable | undefined,
  onBytes: (bytes: Buffer) => void,
): AsyncGenerator<Buffer> {
  for await (const bytes of bothStreams(id, body, data)) {
    onBytes(bytes)
    yield bytes
  }
}

async function* bothStreams(
  id: number,
  body: Buffer | Readable,
  data: Buffer | Readable | undefined,
): AsyncGenerator<Buffer> {
  yield* oneStream('stdin', id, body)
  if (data !== undefined) yield* oneStream('data', id, data)
}

async function* oneStream(
  name: StreamName,
  id: number,
  source: Buffer | Readable,
): AsyncGenerator<Buffer> {
  const chunks: Iterable<Buffer | string> | AsyncIterable<Buffer | string> = Buffer.isBuffer(source)
    ? [source]
    : source
  for await (const chunk of chunks) {
    // Strings are what `Readable.from('text')` gives.
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    for (let at = 0; at < bytes.length; at += contentBytes) {
      const content = bytes.subarray(at, at + contentBytes)
      const padding = paddingFor(content.length)
      yield encodeStreamHeader(name, id, content.length, padding)
      yield content
      if (padding > 0) yield zeros.subarray(0, padding)
    }
  }
  yield encodeStreamRecord(name, id, nothing)
}
