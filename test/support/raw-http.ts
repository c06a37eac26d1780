/**
 * A TCP client that sends the bytes it is told to: what node:http or fetch would refuse to send, stop
 * halfway, or tidy up is exactly what these tests are about.
 *
 * One connection, any number of requests on it. Every wait has a deadline. The test destroys what it
 * opened: `open` does so in teardown.
 */
import { connect, type Socket } from 'node:net'
import type { Test } from 'tap'
import { ByteSource } from './byte-source.js'
import { type RawResponse, type ReadOptions, readFinal, readOne } from './raw-response.js'
import { within } from './wait-for.js'

/** What a request carries; `body` adds a Content-Length. */
export interface RequestParts {
  readonly method?: string
  /** Lines without their end, for example `X-A: 1`; bytes as latin-1. */
  readonly headers?: readonly string[]
  readonly body?: string | Buffer
}

/** The bytes of a request for `target`, with a Host unless the headers bring one. */
export function requestBytes(target: string, parts: RequestParts = {}): Buffer {
  const { method = 'GET', headers = [], body } = parts
  const lines = [`${method} ${target} HTTP/1.1`, ...headers]
  if (!headers.some(line => /^host:/i.test(line))) lines.push('Host: example.test')
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body
  if (bytes !== undefined) lines.push(`Content-Length: ${bytes.length}`)
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  return bytes === undefined ? head : Buffer.concat([head, bytes])
}

/** One chunk of the chunked coding (RFC 9112 §7.1); empty data makes the last one. */
export function chunkBytes(data: string | Buffer): Buffer {
  const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data
  return Buffer.concat([
    Buffer.from(`${bytes.length.toString(16)}\r\n`),
    bytes,
    Buffer.from('\r\n'),
  ])
}

export class RawConnection {
  readonly #socket: Socket
  readonly #source: ByteSource

  private constructor(socket: Socket) {
    this.#socket = socket
    this.#source = new ByteSource(socket)
  }

  /** Connects to an origin (`http://127.0.0.1:8000`) or a socket (`unix:/path`). Destroyed in teardown. */
  static async open(t: Pick<Test, 'teardown'>, origin: string): Promise<RawConnection> {
    // Half open, so that the end of either side is the test's own decision.
    const url = origin.startsWith('unix:') ? undefined : new URL(origin)
    const socket =
      url === undefined
        ? connect({ path: origin.slice('unix:'.length), allowHalfOpen: true })
        : connect({ host: url.hostname, port: Number(url.port), allowHalfOpen: true })
    // A reset is an end that the reader reports; a write after it is what the test wanted to try.
    socket.on('error', () => {})
    t.teardown(() => socket.destroy())
    await within(
      `connect to ${origin}`,
      new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve)
        socket.once('error', reject)
      }),
    )
    return new RawConnection(socket)
  }

  /** Port of this end, which the server sees as REMOTE_PORT. */
  get localPort(): number | undefined {
    return this.#socket.localPort
  }

  /** Sends bytes; text is latin-1. False when the socket is full and `drained` should be awaited. */
  send(bytes: string | Buffer): boolean {
    return this.#socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** Bytes accepted by `send` that the system has not taken yet. */
  get unsent(): number {
    return this.#socket.writableLength
  }

  /** Settles when everything sent has been taken, or the connection is gone. */
  async drained(deadlineMs = 30_000): Promise<void> {
    if (this.#socket.writableLength === 0 || this.#socket.destroyed) return
    const socket = this.#socket
    const taken = new Promise<void>(resolve => {
      socket.once('drain', resolve)
      socket.once('close', resolve)
    })
    await within('the bytes are taken', taken, deadlineMs)
  }

  /** Sends a request (see requestBytes). */
  request(target: string, parts: RequestParts = {}): void {
    this.send(requestBytes(target, parts))
  }

  /** The next response, 1xx ones included. @throws Error when the connection ends before one */
  async next(options: ReadOptions = {}, deadlineMs = 15_000): Promise<RawResponse> {
    return some(await within('a response', readOne(this.#source, options), deadlineMs))
  }

  /** The final response; 1xx ones are in its `interim`. @throws Error when the connection ends before one */
  async response(options: ReadOptions = {}, deadlineMs = 15_000): Promise<RawResponse> {
    return some(await within('a response', readFinal(this.#source, options), deadlineMs))
  }

  /** Everything up to the end of the connection, and how it ended. */
  async rest(deadlineMs = 10_000): Promise<{ bytes: Buffer; reset: boolean }> {
    const chunks: Buffer[] = []
    const read = async (): Promise<void> => {
      for (;;) {
        const chunk = await this.#source.some(Number.POSITIVE_INFINITY)
        if (chunk === undefined) return
        chunks.push(chunk)
      }
    }
    await within('the connection is closed', read(), deadlineMs)
    return { bytes: Buffer.concat(chunks), reset: this.#source.wasReset }
  }

  /** Ends the sending side only (FIN). */
  end(): void {
    this.#socket.end()
  }

  /** Leaves: closes both sides at once. */
  destroy(): void {
    this.#socket.destroy()
  }

  /** Leaves with a reset (RST). */
  reset(): void {
    this.#socket.resetAndDestroy()
  }
}

function some(response: RawResponse | undefined): RawResponse {
  if (response === undefined) throw new Error('the connection ended without a response')
  return response
}
