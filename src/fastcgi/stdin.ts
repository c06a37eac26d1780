/**
 * A request's STDIN, or DATA, as records on its connection (FastCGI §5.3). Holds nothing.
 */
import { BodyPipe } from '../backend/body-pipe.js'
import type { FastCgiConnection } from './connection.js'

/** The stream of the request `id`, to write into. */
export function streamPipe(
  connection: FastCgiConnection,
  stream: 'stdin' | 'data',
  id: number,
): BodyPipe {
  return new BodyPipe({
    write: chunk => connection.writeStream(stream, id, chunk),
    end: () => connection.endStream(stream, id),
  })
}
