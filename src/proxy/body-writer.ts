/**
 * A request body on a connection to an HTTP server: as it is, or in the chunked coding (RFC 9112 §7.1). Holds
 * nothing.
 */
import { BodyPipe } from '../backend/body-pipe.js'
import type { ProxyConnection } from './connection.js'

/** The body, to write into. */
export function bodyPipe(connection: ProxyConnection, chunked: boolean): BodyPipe {
  if (!chunked) {
    return new BodyPipe({
      write: chunk => chunk.length === 0 || connection.write(chunk),
      end: () => {},
    })
  }
  return new BodyPipe({
    // An empty chunk would be the last one.
    write: chunk => chunk.length === 0 || writeChunk(connection, chunk),
    end: () => void connection.writeText('0\r\n\r\n'),
  })
}

function writeChunk(connection: ProxyConnection, chunk: Buffer): boolean {
  return connection.together(() => {
    connection.writeText(`${chunk.length.toString(16)}\r\n`)
    connection.write(chunk)
    return connection.writeText('\r\n')
  })
}
