/**
 * A request body collected before the program starts, so that its length can be told (conventions D-2).
 *
 * Up to `memoryBytes` stays in memory; beyond, everything goes to a temporary file that has lost its name
 * before the first byte is in it, so a crash leaves nothing behind. Besides that at most one chunk waits
 * while another is being written: the client feels the disk. Bounded by `limitBytes` and by `idleMs`.
 */
import { randomUUID } from 'node:crypto'
import { close, openSync, unlinkSync, write } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { GatewayError } from '../errors.js'
import type { LeaveSignal } from '../gateway.js'

/** Where the bounds are. */
export interface SpoolOptions {
  /** Bytes held in memory; one more and the body goes to a file. */
  readonly memoryBytes: number
  /** Bytes that a body may have. */
  readonly limitBytes: number
  /** Longest pause of the client; 0: any. */
  readonly idleMs: number
  /** Aborted when the client has gone. */
  readonly signal: LeaveSignal
  /** Folder for the file; by default the system's (TMPDIR). */
  readonly directory?: string
}

/** A whole body: in `buffer` or behind `fd`, never both. */
export interface SpooledBody {
  readonly length: number
  /** The bytes, when they fit in memory. */
  readonly buffer: Buffer | undefined
  /** Descriptor of the nameless file, at offset 0; a child may get it as its stdin. */
  readonly fd: number | undefined
  /** Closes the descriptor; what a child holds stays open. Further calls do nothing. */
  dispose(): void
}

/**
 * Reads the stream to its end. When it fails, the stream is left paused and unread for the caller to
 * close, and no descriptor is left.
 * @throws GatewayError BODY_TOO_LARGE, BODY_TIMEOUT, CLIENT_LEFT; STORAGE_FAILED with the system's code when the
 * file cannot be made or written
 */
export function spoolBody(stream: Readable, options: SpoolOptions): Promise<SpooledBody> {
  return new Promise((resolve, reject) => new Spooling(stream, options, resolve, reject).start())
}

class Spooling {
  readonly #stream: Readable
  readonly #options: SpoolOptions
  readonly #resolve: (body: SpooledBody) => void
  readonly #reject: (error: GatewayError) => void
  readonly #idle: NodeJS.Timeout | undefined
  /** What is not in the file: the whole body so far, or the one chunk that waits for the disk. */
  #held: Buffer[] = []
  #length = 0
  #file: SpoolFile | undefined
  #writing = false
  #ended = false
  #settled = false
  /** Why it failed while a write was under way; the descriptor can be closed only after it. */
  #failure: GatewayError | undefined

  constructor(
    stream: Readable,
    options: SpoolOptions,
    resolve: (body: SpooledBody) => void,
    reject: (error: GatewayError) => void,
  ) {
    this.#stream = stream
    this.#options = options
    this.#resolve = resolve
    this.#reject = reject
    if (options.idleMs > 0) this.#idle = setTimeout(this.#onIdle, options.idleMs)
  }

  start(): void {
    const stream = this.#stream
    // Stays for good: a connection that breaks after we have answered 413 must not end the server.
    stream.on('error', this.#onError)
    if (stream.readableEnded) {
      this.#fail(new GatewayError('INTERNAL', 'Something read the body before the program could.'))
      return
    }
    if (this.#options.signal.aborted || stream.destroyed) {
      this.#fail(new GatewayError('CLIENT_LEFT'))
      return
    }
    this.#options.signal.addEventListener('abort', this.#onGone)
    stream.on('end', this.#onEnd)
    stream.on('close', this.#onGone)
    stream.on('data', this.#onData)
    stream.resume()
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#idle?.refresh()
    this.#length += chunk.length
    if (this.#length > this.#options.limitBytes) {
      this.#fail(
        new GatewayError('BODY_TOO_LARGE', `The limit is ${this.#options.limitBytes} bytes.`),
      )
      return
    }
    this.#held.push(chunk)
    if (this.#length > this.#options.memoryBytes && !this.#writing) this.#flush()
  }

  readonly #onEnd = (): void => {
    this.#ended = true
    if (!this.#writing) this.#complete()
  }

  /** The stream has closed or the client has gone; after the end of the body neither matters here. */
  readonly #onGone = (): void => {
    if (!this.#ended) this.#fail(new GatewayError('CLIENT_LEFT', `${this.#length} bytes had come.`))
  }

  readonly #onError = (cause: Error): void => {
    if (!this.#ended) this.#fail(new GatewayError('CLIENT_LEFT', cause.message, { cause }))
  }

  readonly #onIdle = (): void => {
    // While the disk is slow nobody reads from the client: that is not its fault.
    if (this.#writing) this.#idle?.refresh()
    else
      this.#fail(new GatewayError('BODY_TIMEOUT', `Nothing came for ${this.#options.idleMs} ms.`))
  }

  /** Writes what is held, the stream paused meanwhile. */
  #flush(): void {
    this.#stream.pause()
    const bytes = joined(this.#held)
    this.#held = []
    try {
      this.#file ??= new SpoolFile(this.#options.directory ?? tmpdir())
    } catch (error) {
      this.#fail(diskError(error))
      return
    }
    this.#writing = true
    this.#file.append(bytes, error => {
      this.#writing = false
      if (this.#failure !== undefined) this.#finishFailing(this.#failure)
      else if (error !== undefined) this.#fail(diskError(error))
      else if (this.#held.length > 0) this.#flush()
      else if (this.#ended) this.#complete()
      else {
        this.#idle?.refresh()
        this.#stream.resume()
      }
    })
  }

  #complete(): void {
    if (!this.#settle()) return
    const file = this.#file
    this.#resolve({
      length: this.#length,
      buffer: file === undefined ? joined(this.#held) : undefined,
      fd: file?.fd,
      dispose: () => file?.close(),
    })
  }

  #fail(error: GatewayError): void {
    if (!this.#settle()) return
    this.#stream.pause()
    this.#held = []
    this.#failure = error
    if (!this.#writing) this.#finishFailing(error)
  }

  #finishFailing(error: GatewayError): void {
    this.#file?.close()
    this.#reject(error)
  }

  /** Stops listening; false when that was done before. */
  #settle(): boolean {
    if (this.#settled) return false
    this.#settled = true
    clearTimeout(this.#idle)
    this.#options.signal.removeEventListener('abort', this.#onGone)
    this.#stream.off('end', this.#onEnd)
    this.#stream.off('close', this.#onGone)
    this.#stream.off('data', this.#onData)
    return true
  }
}

/** A temporary file without a name. */
class SpoolFile {
  readonly fd: number
  #size = 0
  #closed = false

  /** @throws what the system says when the file cannot be made */
  constructor(directory: string) {
    const name = join(directory, `postern-body-${randomUUID()}`)
    // Both at once, without leaving the loop in between: nothing can come between a file and its unlink.
    this.fd = openSync(name, 'wx+', 0o600)
    unlinkSync(name)
  }

  /** Writes all of the bytes after what is there. The file's own offset stays 0: a child reads from it. */
  append(bytes: Buffer, done: (error: NodeJS.ErrnoException | undefined) => void): void {
    write(this.fd, bytes, 0, bytes.length, this.#size, (error, written) => {
      if (error !== null) {
        done(error)
        return
      }
      this.#size += written
      if (written === bytes.length) done(undefined)
      else this.append(bytes.subarray(written), done)
    })
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    // Not closeSync: freeing a gigabyte takes the system a while.
    close(this.fd, () => {})
  }
}

function joined(chunks: Buffer[]): Buffer {
  const [first] = chunks
  return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks)
}

function diskError(cause: unknown): GatewayError {
  const { code = 'unknown', syscall = 'write' } = cause as NodeJS.ErrnoException
  return new GatewayError('STORAGE_FAILED', `Spooling the body: ${syscall} failed with ${code}.`, {
    cause,
  })
}
