/**
 * A unix socket that a test listens on: it sees the bytes of each connection and answers with bytes of its
 * own, by hand. Closed in teardown, with all connections.
 */
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { tempRoot } from './temp-root.js'
import { waitFor } from './wait-for.js'

/** One connection, as the listener sees it. */
export interface Peer {
  readonly socket: Socket
  /** All bytes that came so far. */
  received(): Buffer
  /** Waits until these bytes have come, at the end of what has come. */
  receivedEnd(end: Buffer): Promise<Buffer>
  /** Waits until the other side has closed. */
  closed(): Promise<void>
}

/** Listens; `serve` gets each connection. Answers the path of the socket. */
export async function listenForBytes(t: Test, serve: (peer: Peer) => void): Promise<string> {
  const path = join(tempRoot(t).path, 'peer.sock')
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket)
    serve(peerOf(socket))
  })
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise(resolve => server.close(resolve))
  })
  await new Promise<void>(resolve => server.listen(path, resolve))
  return path
}

function peerOf(socket: Socket): Peer {
  const chunks: Buffer[] = []
  let isClosed = false
  socket.on('data', chunk => chunks.push(chunk))
  socket.on('end', () => {
    isClosed = true
  })
  socket.on('close', () => {
    isClosed = true
  })
  // A client that has gone is what some tests are about.
  socket.on('error', () => {})
  const received = (): Buffer => Buffer.concat(chunks)
  return {
    socket,
    received,
    receivedEnd: async end => {
      const what = `the bytes end with ${end.toString('hex').slice(0, 64)}`
      return await waitFor(what, () => {
        const last = chunks[chunks.length - 1]
        if (last === undefined) return undefined
        // The whole is put together only when it may be the end.
        if (last.length >= end.length && !last.subarray(-end.length).equals(end)) return undefined
        const all = received()
        return all.subarray(-end.length).equals(end) ? all : undefined
      })
    },
    closed: async () => {
      await waitFor('the other side has closed', () => isClosed)
    },
  }
}
