/**
 * The file that a filter works on: FCGI_DATA_LAST_MOD, FCGI_DATA_LENGTH and the DATA stream (FastCGI §6.4,
 * conventions G-23).
 *
 * Opened once: what is told of it is of what was opened. Holds one descriptor until the stream has ended or was
 * destroyed, and in memory one piece.
 */
import { close, read } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'
import { openFile } from '../static/locate.js'

export interface FilterData {
  /** FCGI_DATA_LAST_MOD: whole seconds since 1970, UTC. */
  readonly lastModified: number
  /** FCGI_DATA_LENGTH: exactly so many bytes are in the stream, or it fails with STORAGE_FAILED. */
  readonly length: number
  /** Who gets it reads it to its end or destroys it. */
  readonly stream: Readable
}

const pieceBytes = 64 * 1024

/**
 * Opens a file that the finder has found, through the links that led to it.
 * @throws GatewayError NOT_FOUND when it is gone or no regular file, FORBIDDEN; INTERNAL with the system's code
 */
export async function openFilterData(file: ByteString): Promise<FilterData> {
  const opened = await openFile(await withoutLinks(file))
  if (opened === 'directory') throw new GatewayError('NOT_FOUND', 'It is a directory.')
  const { size: length, mtimeMs } = opened.stat
  const stream = new FileData(opened.fd, length)
  return { lastModified: Math.floor(mtimeMs / 1000), length, stream }
}

async function withoutLinks(file: ByteString): Promise<ByteString> {
  try {
    return await realpath(Buffer.from(file, 'latin1'), 'latin1')
  } catch {
    // Opening it says what is wrong.
    return file
  }
}

/** So many bytes of a descriptor, which it owns. */
class FileData extends Readable {
  readonly #fd: number
  readonly #length: number
  #at = 0
  #reading = false
  #close: (() => void) | undefined

  constructor(fd: number, length: number) {
    super({ highWaterMark: pieceBytes })
    this.#fd = fd
    this.#length = length
  }

  override _read(): void {
    const size = Math.min(pieceBytes, this.#length - this.#at)
    if (size === 0) {
      this.push(null)
      return
    }
    this.#reading = true
    read(this.#fd, Buffer.allocUnsafe(size), 0, size, this.#at, (error, bytes, piece) => {
      this.#reading = false
      if (this.#close !== undefined) this.#close()
      else if (error !== null) this.destroy(failed(error.message))
      else if (bytes === 0)
        this.destroy(failed(`It ended at ${this.#at} of ${this.#length} bytes.`))
      else {
        this.#at += bytes
        this.push(piece.subarray(0, bytes))
      }
    })
  }

  /** Not under a read that is on its way: the number may be another file's by then. */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const end = (): void => close(this.#fd, () => done(error))
    if (this.#reading) this.#close = end
    else end()
  }
}

function failed(why: string): GatewayError {
  return new GatewayError('STORAGE_FAILED', why)
}
