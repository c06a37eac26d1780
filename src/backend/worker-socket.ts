/**
 * A socket to an application that may stop reading before it has answered (L-1).
 *
 * node:net destroys a socket at the first failed write, and what the application had answered before is
 * lost with it. Here a write to a reader that is gone is news, and reading goes on. Reads go into buffers of
 * our own: large ones are handed on as they are, small ones are copied out, so that a small answer costs no
 * allocation of a large buffer. Kept for the next reads: `mostKept` buffers that were given back.
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net'
import { platform } from 'node:os'
import type { Address } from '../upstream/address.js'

/** What the socket reports besides the events of its own. */
export interface WorkerSocketEvents {
  /** Bytes of its own to keep. */
  readonly received: (chunk: Buffer) => void
  /** The other side reads no more; called once. */
  readonly deaf: () => void
}

const readBytes = 64 * 1024
/** Up to this size a copy is cheaper than a new buffer to read into. */
const copiedBytes = 16 * 1024
const mostKept = 4

type Written = (error?: Error | null) => void

export class WorkerSocket extends Socket {
  readonly #events: WorkerSocketEvents
  readonly #free: Buffer[]
  #isDeaf = false
  /** Of the one write that is under way: node has never two. */
  #callback: Written | undefined

  constructor(events: WorkerSocketEvents) {
    const free: Buffer[] = []
    // The constructor takes `onread` as `net.connect` does; the types know it only there.
    const options: SocketConstructorOpts & { onread: OnReadOpts } = {
      allowHalfOpen: true,
      onread: intoOwnBuffer(free, chunk => events.received(chunk)),
    }
    super(options)
    this.#events = events
    this.#free = free
  }

  /** Begins to connect. */
  connectTo(address: Address): void {
    if (address.kind === 'unix') this.connect({ path: address.path })
    else this.connect({ host: address.host, port: address.port, noDelay: true })
  }

  /** Nobody needs the buffer that a chunk lies in any more, all of it: it is read into again. */
  recycle({ buffer }: Buffer): void {
    const isOurs = buffer.byteLength === readBytes
    if (isOurs && this.#free.length < mostKept) this.#free.push(Buffer.from(buffer))
  }

  /** Whether a write has failed because nobody reads. */
  get isDeaf(): boolean {
    return this.#isDeaf
  }

  override _write(chunk: unknown, encoding: BufferEncoding, callback: Written): void {
    this.#callback = callback
    super._write(chunk, encoding, this.#written)
  }

  override _writev(
    chunks: { chunk: unknown; encoding: BufferEncoding }[],
    callback: Written,
  ): void {
    this.#callback = callback
    super._writev?.(chunks, this.#written)
  }

  readonly #written: Written = error => {
    const callback = this.#callback
    this.#callback = undefined
    if (error === undefined || error === null) {
      callback?.()
      return
    }
    const code = 'code' in error ? error.code : undefined
    if (code !== 'EPIPE' && code !== 'ECONNRESET') {
      callback?.(error)
      return
    }
    if (!this.#isDeaf) {
      this.#isDeaf = true
      this.#events.deaf()
    }
    callback?.()
  }
}

/**
 * What sockets read into until one of them reads much: a read is copied out before the next one begins. Most
 * connections carry one small answer, for which a buffer of their own would be the dearest part. Not on Windows,
 * where several reads are under way at once.
 */
const scratch = Buffer.allocUnsafeSlow(readBytes)
const canShare = platform() !== 'win32'

/** Reads into the shared buffer; from the first large read on into one of its own, given away with each large read. */
function intoOwnBuffer(free: Buffer[], received: (chunk: Buffer) => void): OnReadOpts {
  let isShared = canShare
  let own: Buffer | undefined
  return {
    buffer: () => {
      if (isShared) return scratch
      own ??= free.pop() ?? Buffer.allocUnsafeSlow(readBytes)
      return own
    },
    callback: (bytes: number, target: Uint8Array) => {
      const read = target as Buffer
      if (bytes > copiedBytes && !isShared) {
        own = undefined
        received(read.subarray(0, bytes))
        return true
      }
      if (bytes > copiedBytes) isShared = false
      const chunk = Buffer.allocUnsafe(bytes)
      read.copy(chunk, 0, 0, bytes)
      received(chunk)
      return true
    },
  }
}
