/**
 * Feeds a body that was spooled into a file, read in pieces, one at a time.
 *
 * Holds one piece; the descriptor is the caller's.
 */
import { read } from 'node:fs'
import type { FeedEvents } from '../cgi/script-input.js'
import { GatewayError } from '../errors.js'
import type { PipeWriter } from '../process/spawner.js'

const pieceBytes = 64 * 1024

/** Feeds `length` bytes of a file from its beginning, whatever its offset, and ends the stream behind them. */
export function feedFile(
  stdin: PipeWriter,
  fd: number,
  length: number,
  events: Pick<FeedEvents, 'waitsForProgram' | 'done' | 'refused'>,
): void {
  let at = 0
  let over = false
  const next = (): void => {
    if (over) return
    if (at === length) {
      over = true
      stdin.end()
      events.done()
      return
    }
    const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, length - at))
    read(fd, piece, 0, piece.length, at, (error, bytes) => {
      if (over) return
      if (error !== null || bytes === 0) {
        over = true
        stdin.close()
        const said = `Reading the body: ${error?.code ?? 'the file is shorter than it was'}.`
        events.refused(new GatewayError('STORAGE_FAILED', said, { cause: error }))
        return
      }
      at += bytes
      if (stdin.write(piece.subarray(0, bytes))) next()
      else events.waitsForProgram()
    })
  }
  stdin.onDrain(next)
  stdin.onGone(() => {
    over = true
    events.done()
  })
  next()
}
