/**
 * Client connections that stand idle: each has had one answer and asks for nothing more.
 *
 * They are the bench's own; that they are still there is asked as one asks a server whether it still runs.
 * Bounds: what the caller asks for; opened `AT_ONCE` at a time, so that no backlog overflows.
 */
import { connect, type Socket } from 'node:net'

export interface IdleConnections {
  /** How many the server has closed; 0 while all is well. */
  readonly closed: () => number
  readonly close: () => void
}

const AT_ONCE = 50

/** Opens `count` connections to 127.0.0.1 and has one answer to a GET of `path` on each; rejects when one fails. */
export async function openIdle(
  port: number,
  path: string,
  count: number,
): Promise<IdleConnections> {
  const sockets: Socket[] = []
  let closed = 0
  const close = () => {
    for (const socket of sockets) socket.destroy()
  }
  try {
    while (sockets.length < count) {
      const batch = Math.min(AT_ONCE, count - sockets.length)
      await Promise.all(Array.from({ length: batch }, () => openOne(port, path, sockets)))
    }
  } catch (error) {
    close()
    throw error
  }
  for (const socket of sockets) socket.once('close', () => closed++)
  return { closed: () => closed, close }
}

function openOne(port: number, path: string, sockets: Socket[]): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  sockets.push(socket)
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.once('end', () => reject(new Error('the server has closed a connection')))
    socket.once('data', (chunk: Buffer) => {
      const status = chunk.toString('latin1', 0, 12)
      if (status === 'HTTP/1.1 200') resolve()
      else reject(new Error(`an idle connection got ${status}`))
    })
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`)
  })
}
