/**
 * One connection to an HTTP server: one request at a time, bytes both ways.
 *
 * Knows no HTTP; whose turn it is to use it is `connections.ts`. Bytes are not collected here: who writes waits
 * for `drained`, who cannot take more pauses the connection. A server that says something unasked, or closes,
 * while nobody uses the connection is not used again.
 */
import { WorkerSocket } from '../backend/worker-socket.js'
import { GatewayError } from '../errors.js'
import { type Address, describeAddress } from '../upstream/address.js'

/** Who uses a connection. */
export interface ConnectionUser {
  /** There is a connection: what takes back no byte may be written now. Called before anything else, if at all. */
  connected(): void
  /** Bytes to keep. */
  received(chunk: Buffer): void
  /** What waited to be written has been taken. */
  drained(): void
  /** The server reads no more; it may still answer. */
  deaf(): void
  /** The server sends no more; it may still read. */
  ended(): void
  /** The connection is gone, nothing more comes. */
  gone(error: GatewayError): void
}

export interface ConnectionOptions {
  readonly address: Address
  /** 0: no limit. */
  readonly connectMs: number
  /** Called once. */
  readonly onGone: (connection: ProxyConnection) => void
}

export class ProxyConnection {
  readonly address: Address
  /** When its last request was over; for who keeps it. */
  idleSince = 0
  readonly #options: ConnectionOptions
  readonly #socket: WorkerSocket
  #user: ConnectionUser | undefined
  #connected = false
  #gone = false
  #ended = false
  #isKept = false
  #connecting: NodeJS.Timeout | undefined

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.address = options.address
    const socket = new WorkerSocket({
      received: chunk => this.#received(chunk),
      deaf: () => this.#user?.deaf(),
    })
    this.#socket = socket
    socket.on('connect', () => {
      this.#connected = true
      clearTimeout(this.#connecting)
      this.#user?.connected()
    })
    socket.on('drain', () => this.#user?.drained())
    socket.on('end', () => this.#onEnd())
    socket.on('error', error => this.#lost(codeOf(error)))
    socket.on('close', () => this.#lost('It closed the connection.'))
    this.#connect()
  }

  /** It has carried a request before: it may have been closed since then (H-16). */
  get isKept(): boolean {
    return this.#isKept
  }

  get isConnected(): boolean {
    return this.#connected
  }

  /** Whether the server was seen to read no more. */
  get isDeaf(): boolean {
    return this.#socket.isDeaf
  }

  /** Whether another request may begin. */
  get isUsable(): boolean {
    return !this.#gone && !this.#ended && !this.#socket.isDeaf
  }

  /** What there is to say of a server that has closed its side. */
  get closedError(): GatewayError {
    return this.#closed('It closed the connection.')
  }

  begin(user: ConnectionUser): void {
    this.#user = user
  }

  /** The request on it is over in both directions. */
  release(): void {
    this.#user = undefined
    this.#isKept = true
  }

  /** Takes the bytes whole; false when `drained` should be waited for. */
  write(bytes: Buffer): boolean {
    if (this.#gone || this.#socket.isDeaf) return true
    this.#socket.write(bytes)
    return this.#isTaken()
  }

  /** The same for text, a byte per character. */
  writeText(text: string): boolean {
    if (this.#gone || this.#socket.isDeaf) return true
    this.#socket.write(text, 'latin1')
    return this.#isTaken()
  }

  /** Writes in one piece what `writes` writes. */
  together(writes: () => boolean): boolean {
    this.#socket.cork()
    writes()
    this.#socket.uncork()
    return this.#gone || this.#socket.isDeaf || this.#isTaken()
  }

  /** Sends no more; what the server still says is read. */
  end(): void {
    if (!this.#gone) this.#socket.end()
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#gone) this.#socket.resume()
  }

  /** Closes at once; its user is told `error`. */
  close(error: GatewayError): void {
    const user = this.#user
    this.#user = undefined
    this.discard()
    user?.gone(error)
  }

  /** Closes at once a connection that nobody uses. */
  discard(): void {
    if (this.#gone) return
    this.#gone = true
    clearTimeout(this.#connecting)
    this.#socket.destroy()
    this.#options.onGone(this)
  }

  #connect(): void {
    const { address, connectMs } = this.#options
    if (connectMs > 0) {
      this.#connecting = setTimeout(() => {
        const said = `${describeAddress(address)} did not within ${connectMs} ms.`
        this.close(new GatewayError('UPSTREAM_CONNECT_TIMEOUT', said))
      }, connectMs)
    }
    this.#socket.connectTo(address)
  }

  #received(chunk: Buffer): void {
    if (this.#gone) return
    if (this.#user !== undefined) this.#user.received(chunk)
    else this.discard()
  }

  #onEnd(): void {
    this.#ended = true
    if (this.#user === undefined) this.discard()
    else this.#user.ended()
  }

  /** An error is made only for somebody who wants to know: it costs more than a connection. */
  #lost(why: string): void {
    if (this.#user === undefined) this.discard()
    else this.close(this.#closed(why))
  }

  /** Why it is gone, by whether there ever was a connection. */
  #closed(why: string): GatewayError {
    if (this.#connected) return new GatewayError('UPSTREAM_CLOSED', why)
    return new GatewayError('UPSTREAM_UNREACHABLE', `${describeAddress(this.address)}: ${why}`)
  }

  /** Node says `drain` only after a write that it answered with false: anything else may go on. */
  #isTaken(): boolean {
    return this.#socket.writableLength === 0 || !this.#socket.writableNeedDrain
  }
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : error.message
}
