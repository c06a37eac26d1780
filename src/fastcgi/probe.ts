/**
 * Asks an application what it can take: FCGI_GET_VALUES (FastCGI §4.1) on a connection of its own.
 *
 * Only where the route asks for it or the worker is ours: some programs die of a connection without a
 * request (L-4). Whatever else comes than an answer means that nothing is known (G-21). Bounded by time and
 * by the bytes of one record.
 */
import { connect } from 'node:net'
import type { ByteString } from '../gateway.js'
import type { Address } from '../upstream/address.js'
import { encodeValues, maxContentBytes } from './record.js'
import { RecordDecoder } from './record-decoder.js'

/** What an application says of itself; undefined where it says nothing that makes sense. */
export interface ProbeAnswer {
  /** FCGI_MAX_CONNS: connections at once. */
  readonly maxConnections: number | undefined
  /** FCGI_MAX_REQS: requests at once. */
  readonly maxRequests: number | undefined
  /** FCGI_MPXS_CONNS: several requests may share a connection. */
  readonly multiplexes: boolean
}

/** Longest wait for an answer (G-21). */
export const probeMs = 500

/** Where a record says the length of its padding (§3.3). */
const paddingLengthAt = 6

const question = withPadding(
  encodeValues('getValues', [
    ['FCGI_MAX_CONNS', ''],
    ['FCGI_MAX_REQS', ''],
    ['FCGI_MPXS_CONNS', ''],
  ]),
)

/**
 * The answer, or undefined when there is none within `limitMs`: no connection, a close, UNKNOWN_TYPE,
 * something that is not FastCGI. Never rejects.
 */
export function probeValues(
  address: Address,
  limitMs: number = probeMs,
): Promise<ProbeAnswer | undefined> {
  return new Promise(resolve => {
    const socket = connect(
      address.kind === 'unix'
        ? { path: address.path }
        : { host: address.host, port: address.port, noDelay: true },
    )
    let received = 0
    const settle = (answer: ProbeAnswer | undefined): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(answer)
    }
    const timer = setTimeout(settle, limitMs, undefined)
    const decoder = new RecordDecoder(record => {
      if (record.type === 'getValuesResult') settle(readAnswer(record.values))
      else settle(undefined)
    })
    socket.on('error', () => settle(undefined))
    socket.on('close', () => settle(undefined))
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length
      try {
        decoder.push(chunk)
      } catch {
        settle(undefined)
      }
      if (received > maxContentBytes) settle(undefined)
    })
    socket.write(question)
  })
}

/** The record with 8 bytes of padding: libfcgi (2.4.2) waits for more behind a question that has none. */
function withPadding(record: Buffer): Buffer {
  const padding = Buffer.alloc(8)
  record[paddingLengthAt] = padding.length
  return Buffer.concat([record, padding])
}

function readAnswer(values: readonly (readonly [ByteString, ByteString])[]): ProbeAnswer {
  const said = new Map(values)
  return {
    maxConnections: wholeFromOne(said.get('FCGI_MAX_CONNS')),
    maxRequests: wholeFromOne(said.get('FCGI_MAX_REQS')),
    multiplexes: said.get('FCGI_MPXS_CONNS') === '1',
  }
}

function wholeFromOne(text: ByteString | undefined): number | undefined {
  return text !== undefined && /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined
}
