/**
 * The one request of a CGI process as a channel: variables from the environment, the body from stdin, the
 * answer to stdout (RFC 3875 §4, §6), so that the same program runs in either way.
 *
 * Streams are handed in. Bounded as a FastCGI request is: what is not read holds stdin back, what is not
 * taken holds the writer back.
 */
import type { Readable, Writable } from 'node:stream'
import type { Channel, RequestOwner } from '../cgi/channel.js'
import { brokenOff, type Gate, Inlet } from '../cgi/inlet.js'
import type { ByteString } from '../gateway.js'

export interface CgiProcess {
  readonly variables: ReadonlyMap<ByteString, ByteString>
  readonly stdin: Readable
  readonly stdout: Writable
  readonly stderr: Writable
  /** Bytes of the body that are kept while nobody reads them. */
  readonly maxBufferedBytes: number
  /** Everything has been written; 0, or 1 when the answer broke off. */
  readonly end: (status: number) => void
}

export class CgiChannel implements Channel, Gate {
  readonly params: ReadonlyMap<ByteString, ByteString>
  readonly pairs: readonly ByteString[]
  readonly stdin: Inlet
  owner: RequestOwner | undefined
  readonly #process: CgiProcess
  #pending: Buffer[] = []
  #scheduled = false
  #status: number | undefined

  constructor(cgi: CgiProcess) {
    this.#process = cgi
    this.params = cgi.variables
    this.pairs = [...cgi.variables].flat()
    this.stdin = new Inlet(this, cgi.maxBufferedBytes)
    // The web server has closed the pipe: it does not want the rest.
    cgi.stdout.on('error', () => this.#abandon())
  }

  expectBody(): void {
    this.stdin.expect(this.params.get('CONTENT_LENGTH'))
  }

  /** Starts to read the body; called when the handler has the request. */
  start(): void {
    const { stdin } = this.#process
    stdin.on('data', (chunk: Buffer) => this.stdin.push(chunk))
    stdin.on('end', () => this.stdin.end())
    stdin.on('error', () => this.stdin.fail(brokenOff()))
  }

  hold(): void {
    this.#process.stdin.pause()
  }

  release(): void {
    this.#process.stdin.resume()
  }

  send(data: Buffer | string, encoding: BufferEncoding): void {
    if (this.#status !== undefined) return
    this.#pending.push(typeof data === 'string' ? Buffer.from(data, encoding) : data)
    this.#schedule()
  }

  sendError(data: Buffer): void {
    this.#process.stderr.write(data)
  }

  finish(appStatus: number): void {
    if (this.#status !== undefined) return
    this.#status = appStatus
    this.stdin.close()
    this.#schedule()
  }

  breakOff(): void {
    this.finish(1)
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    process.nextTick(() => this.#flush())
  }

  #flush(): void {
    this.owner?.beforeSending()
    this.#scheduled = false
    const bytes = Buffer.concat(this.#pending)
    this.#pending = []
    const status = this.#status
    this.#process.stdout.write(bytes, () => {
      this.owner?.taken()
      if (status !== undefined) this.#process.end(status)
    })
  }

  #abandon(): void {
    if (this.#status !== undefined) this.#process.end(1)
    else this.owner?.abandoned(brokenOff())
  }
}
