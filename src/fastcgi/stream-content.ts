/**
 * A piece of STDIN or DATA as records: header, content, padding, each a buffer of its own, so that the content
 * is never copied (conventions G-3). Pure.
 */
import { encodeStreamHeader, paddingFor } from './record.js'

/** Content of one record: a multiple of 8, so that only the last one of a piece is padded. */
export const contentBytes = 32 * 1024

const zeros = Buffer.alloc(8)

/** The parts in the order in which they are written; none for a piece without bytes, which would end the stream. */
export function streamRecords(stream: 'stdin' | 'data', id: number, piece: Buffer): Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0; at < piece.length; at += contentBytes) {
    const content = piece.subarray(at, at + contentBytes)
    const padding = paddingFor(content.length)
    parts.push(encodeStreamHeader(stream, id, content.length, padding), content)
    if (padding > 0) parts.push(zeros.subarray(0, padding))
  }
  return parts
}
