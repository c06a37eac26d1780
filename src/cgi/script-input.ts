/**
 * Feeds a request body to the program's stdin, with backpressure to the client.
 *
 * At most one chunk waits. A program that does not read its body is no error (RFC 3875 §4.2): the rest
 * is read and dropped, so that the client can finish sending and get its answer.
 */
import type { Readable } from 'node:stream'
import { GatewayError } from '../errors.js'
import type { PipeWriter } from '../process/spawner.js'

/** What the feeding reports. */
export interface FeedEvents {
  /** Waiting for the client to send more. */
  readonly waitsForClient: () => void
  /** Waiting for the program to read more. */
  readonly waitsForProgram: () => void
  /** All of the body is with the program, or the program wants no more. */
  readonly done: () => void
  /** The body is longer than allowed. */
  readonly refused: (error: GatewayError) => void
}

/** Feeds a body held in memory and closes stdin behind it. */
export function feedBuffer(stdin: PipeWriter, body: Buffer, events: FeedEvents): void {
  stdin.onDrain(events.done)
  stdin.onGone(events.done)
  const taken = stdin.write(body)
  stdin.end()
  if (taken) events.done()
  else events.waitsForProgram()
}

/** Feeds a stream of at most `limitBytes` and closes stdin at its end. */
export function feedStream(
  stdin: PipeWriter,
  stream: Readable,
  limitBytes: number,
  events: FeedEvents,
): void {
  let bytes = 0
  let ended = false
  const finish = (): void => {
    if (ended) return
    ended = true
    events.done()
  }
  stdin.onDrain(() => {
    if (ended) return
    stream.resume()
    events.waitsForClient()
  })
  stdin.onGone(() => {
    stream.resume()
    finish()
  })
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > limitBytes) {
      stream.pause()
      stdin.close()
      if (!ended)
        events.refused(new GatewayError('BODY_TOO_LARGE', `The limit is ${limitBytes} bytes.`))
      ended = true
      return
    }
    if (ended) return
    if (stdin.write(chunk)) {
      events.waitsForClient()
      return
    }
    stream.pause()
    events.waitsForProgram()
  })
  stream.once('end', () => {
    stdin.end()
    finish()
  })
  // Closed before its end: the client has gone, and the program sees its body end early (D-5).
  stream.once('close', () => {
    if (!stream.readableEnded) stdin.close()
  })
  // The exchange hears of a broken connection by itself.
  stream.on('error', () => {})
  events.waitsForClient()
}
