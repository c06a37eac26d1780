/**
 * What is said in a call by SCGI or uwsgi, as readable lines: `> ` sent, `< ` received.
 *
 * The head is read back out of its bytes, so that what is shown is what was sent. One line a piece, each
 * bounded; values that are secrets are counted, not shown.
 */
import { pairLine } from '../fastcgi/trace-pairs.js'
import type { ByteString } from '../gateway.js'
import { readableBytes } from '../process/stderr-lines.js'
import { ScgiRequestDecoder } from '../scgi/request.js'
import { UwsgiPacketDecoder } from '../uwsgi/packet.js'

export interface CallTrace {
  /** The netstring or packet, whole. */
  head(bytes: Buffer): void
  /** A piece of the body. */
  readonly sent: (bytes: Buffer) => void
  received(bytes: Buffer): void
  ended(): void
}

/** Bytes of a piece that are shown. */
const shownBytes = 200

/** `> SCGI 70 bytes: CONTENT_LENGTH=27 SCGI=1 REQUEST_METHOD=POST`, and the like. */
export function createCallTrace(
  protocol: 'scgi' | 'uwsgi',
  emit: (line: string) => void,
): CallTrace {
  return {
    head: bytes => emit(`> ${protocol === 'scgi' ? scgiHead(bytes) : uwsgiHead(bytes)}`),
    sent: bytes => emit(`> ${piece(bytes)}`),
    received: bytes => emit(`< ${piece(bytes)}`),
    ended: () => emit('= closed'),
  }
}

function scgiHead(bytes: Buffer): string {
  const request = new ScgiRequestDecoder(bytes.length).push(bytes)
  return `SCGI ${bytes.length} bytes: ${pairsText(request?.head.pairs ?? [])}`
}

function uwsgiHead(bytes: Buffer): string {
  const packet = new UwsgiPacketDecoder().push(bytes)
  const modifiers = `modifier1 ${packet?.modifier1} modifier2 ${packet?.modifier2}`
  return `uwsgi ${modifiers} ${bytes.length} bytes: ${pairsText(packet?.pairs ?? [])}`
}

function pairsText(pairs: readonly ByteString[]): string {
  const lines: string[] = []
  for (let at = 0; at < pairs.length; at += 2) {
    const value = Buffer.from(pairs[at + 1] ?? '', 'latin1')
    lines.push(pairLine(Buffer.from(pairs[at] ?? '', 'latin1'), value, value.length))
  }
  return lines.join(' ')
}

function piece(bytes: Buffer): string {
  const cut = bytes.length > shownBytes ? '…' : ''
  const size = `${bytes.length} ${bytes.length === 1 ? 'byte' : 'bytes'}`
  return `${size}: ${readableBytes(bytes.subarray(0, shownBytes))}${cut}`
}
