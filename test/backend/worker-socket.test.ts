/**
 * Sockets that read into one buffer: what one has been given stays what it was, whatever the others read.
 */
import t from 'tap'
import { WorkerSocket } from '../../src/backend/worker-socket.js'
import { listenForBytes } from '../support/byte-listener.js'
import { waitFor } from '../support/wait-for.js'

t.test('small and large reads of many sockets at once keep their bytes', async t => {
  const sizes = [1, 1_000, 16 * 1024, 16 * 1024 + 1, 64 * 1024, 300_000, 1_000_000]
  let next = 0
  const path = await listenForBytes(t, peer => {
    const at = next++
    // Twice, so that a socket which has read much reads again.
    const bytes = Buffer.alloc(sizes[at % sizes.length] ?? 0, at + 1)
    peer.socket.write(bytes)
    peer.socket.end(bytes)
  })
  const all = Array.from({ length: 4 * sizes.length }, () => {
    const chunks: Buffer[] = []
    let isOver = false
    const socket = new WorkerSocket({ received: chunk => void chunks.push(chunk), deaf: () => {} })
    socket.on('end', () => {
      isOver = true
    })
    t.teardown(() => socket.destroy())
    socket.connect({ path })
    return { chunks, isOver: () => isOver }
  })
  await waitFor('all have ended', () => all.every(({ isOver }) => isOver()))
  const seen = new Set<number>()
  for (const { chunks } of all) {
    const bytes = Buffer.concat(chunks)
    const first = bytes[0] ?? 0
    seen.add(first)
    t.equal(bytes.length, 2 * (sizes[(first - 1) % sizes.length] ?? 0))
    t.ok(bytes.equals(Buffer.alloc(bytes.length, first)), `only ${first}`)
  }
  t.equal(seen.size, all.length)
})
