/**
 * A web server's side of one FastCGI connection, by hand: sends the bytes it is told to and reads records
 * with a reader of its own, so that a mistake of our codec is not made twice.
 */

import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { ListenTarget } from '../../src/cgi/app-listener.js'
import {
  createResponder,
  type Responder,
  type ResponderHandler,
} from '../../src/fastcgi/responder.js'
import {
  begin,
  END,
  PARAMS,
  pairs,
  STDERR,
  STDIN,
  STDOUT,
  stream,
} from '../support/fastcgi-bytes.js'
import { tempRoot } from '../support/temp-root.js'
import { waitFor, within } from '../support/wait-for.js'

export interface PeerRecord {
  readonly type: number
  readonly id: number
  readonly content: Buffer
}

export type Variables = Readonly<Record<string, string>>

/** What came back for one request. */
export interface PeerAnswer {
  readonly stdout: string
  readonly stderr: string
  readonly appStatus: number
  readonly protocolStatus: number
  /** Types of the records in order. */
  readonly types: readonly number[]
}

export class Peer {
  readonly socket: Socket
  readonly records: PeerRecord[] = []
  /** Chunks as they were read: how many writes there were, about. */
  readonly chunks: Buffer[] = []
  closed = false
  ended = false
  /** Code of the first error of the socket, such as EPIPE or ECONNRESET. */
  failure = ''
  #rest = Buffer.alloc(0)

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', chunk => {
      this.chunks.push(chunk)
      this.#read(Buffer.concat([this.#rest, chunk]))
    })
    socket.on('end', () => {
      this.ended = true
    })
    socket.on('error', error => {
      if (this.failure === '') this.failure = 'code' in error ? String(error.code) : error.message
    })
    socket.on('close', () => {
      this.closed = true
    })
  }

  /** Connects to what the responder listens on; destroyed in teardown. */
  static async open(t: Pick<Test, 'teardown'>, where: ListenTarget): Promise<Peer> {
    // Half open, so that a FIN of the responder does not end what is still to be sent.
    const place =
      typeof where === 'number' ? { port: where, host: '127.0.0.1' } : { path: String(where) }
    const socket = connect({ ...place, allowHalfOpen: true })
    t.teardown(() => socket.destroy())
    await within(
      'the connection',
      new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve)
        socket.once('error', reject)
      }),
    )
    return new Peer(socket)
  }

  send(...parts: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(parts))
  }

  /** Waits for the END of a request and gives all that came for it since the last one of that id. */
  async answer(id = 1): Promise<PeerAnswer> {
    await waitFor(`END of request ${id}`, () =>
      this.records.some(record => record.type === END && record.id === id),
    )
    const last = this.records.findIndex(record => record.type === END && record.id === id)
    const mine = this.records.slice(0, last + 1).filter(record => record.id === id)
    for (const record of mine) this.records.splice(this.records.indexOf(record), 1)
    const text = (type: number): string =>
      Buffer.concat(
        mine.filter(record => record.type === type).map(({ content }) => content),
      ).toString('latin1')
    const end = mine.at(-1)?.content ?? Buffer.alloc(8)
    return {
      stdout: text(STDOUT),
      stderr: text(STDERR),
      appStatus: end.readUInt32BE(0),
      protocolStatus: end[4] ?? -1,
      types: mine.map(({ type }) => type),
    }
  }

  /** Waits for a record of a type. */
  async record(type: number): Promise<PeerRecord> {
    return await waitFor(`a record of type ${type}`, () =>
      this.records.find(record => record.type === type),
    )
  }

  async untilClosed(): Promise<void> {
    await waitFor('the responder has closed', () => this.closed || this.ended)
  }

  #read(bytes: Buffer): void {
    let at = 0
    while (bytes.length - at >= 8) {
      const length = bytes.readUInt16BE(at + 4)
      const end = at + 8 + length + (bytes[at + 6] ?? 0)
      if (end > bytes.length) break
      const content = Buffer.from(bytes.subarray(at + 8, at + 8 + length))
      this.records.push({ type: bytes[at + 1] ?? 0, id: bytes.readUInt16BE(at + 2), content })
      at = end
    }
    this.#rest = Buffer.from(bytes.subarray(at))
  }
}

/** BEGIN and all of PARAMS. */
export function head(id: number, variables: Variables = {}, flags = 0, role = 1): Buffer {
  const text = pairs(Object.entries({ REQUEST_METHOD: 'GET', REQUEST_URI: '/', ...variables }))
  return Buffer.concat([begin(id, role, flags), stream(PARAMS, id, text.toString('latin1'))])
}

/** A whole request; a body brings its CONTENT_LENGTH. */
export function request(id: number, variables: Variables = {}, body = '', flags = 0): Buffer {
  const length: Variables =
    body === '' ? {} : { REQUEST_METHOD: 'POST', CONTENT_LENGTH: String(body.length) }
  return Buffer.concat([head(id, { ...length, ...variables }, flags), stream(STDIN, id, body)])
}

/** Starts a responder on a unix socket; closed in teardown, and nothing may be left. */
export async function startResponder(
  t: Test,
  options: ResponderHandler,
): Promise<{ path: string; responder: Responder; lines: string[] }> {
  const lines: string[] = []
  const responder = createResponder({ log: line => void lines.push(line), ...options })
  const path = join(tempRoot(t).path, 'app.sock')
  await responder.listen(path)
  t.teardown(async () => {
    await within('the responder is closed', responder.close())
  })
  return { path, responder, lines }
}
