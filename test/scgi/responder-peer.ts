/** A web server's side of an SCGI connection, by hand: netstrings that are not our encoder's. */
import { connect, type Socket } from 'node:net'
import type { Test } from 'tap'
import { waitFor } from '../support/wait-for.js'

/** The netstring of a request; CONTENT_LENGTH and SCGI first, then what is given. */
export function netstring(
  variables: Readonly<Record<string, string>> = {},
  contentLength = 0,
): Buffer {
  const pairs = { CONTENT_LENGTH: String(contentLength), SCGI: '1', ...variables }
  const content = Object.entries(pairs)
    .map(([name, value]) => `${name}\0${value}\0`)
    .join('')
  return Buffer.from(`${content.length}:${content},`, 'latin1')
}

export class ScgiPeer {
  readonly socket: Socket
  received = ''
  ended = false
  closed = false
  /** Code of the first error of the socket, such as ECONNRESET. */
  failure = ''

  /** Connects to a path or a port; destroyed in teardown. */
  constructor(t: Pick<Test, 'teardown'>, where: string | number) {
    const place = typeof where === 'number' ? { port: where, host: '127.0.0.1' } : { path: where }
    // Half open, so that a FIN of the responder does not end what is still to be sent.
    this.socket = connect({ ...place, allowHalfOpen: true })
    this.socket.on('data', chunk => {
      this.received += chunk.toString('latin1')
    })
    this.socket.on('end', () => {
      this.ended = true
    })
    this.socket.on('error', error => {
      if (this.failure === '') this.failure = 'code' in error ? String(error.code) : error.message
    })
    this.socket.on('close', () => {
      this.closed = true
    })
    t.teardown(() => this.socket.destroy())
  }

  send(...parts: readonly (Buffer | string)[]): void {
    for (const part of parts) this.socket.write(part)
  }

  /** All that comes until the responder ends its side. */
  async answer(): Promise<string> {
    await waitFor('the end of the answer', () => this.ended || this.closed)
    return this.received
  }
}
