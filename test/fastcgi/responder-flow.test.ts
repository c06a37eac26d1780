/**
 * The responder under pressure: bytes cut anywhere, one slow reader among others (conventions G-51), long
 * bodies both ways with flat memory.
 */
import { once } from 'node:events'
import { join } from 'node:path'
import { getDefaultHighWaterMark, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import fc from 'fast-check'
import t from 'tap'
import { createServer, type FastCgiRequest } from '../../src/fastcgi.js'
import { byteByByte, everySplit } from '../support/chunks.js'
import { record, STDIN, stream } from '../support/fastcgi-bytes.js'
import { memoryOf } from '../support/processes.js'
import { tempRoot } from '../support/temp-root.js'
import { settled, waitFor } from '../support/wait-for.js'
import { head, Peer, request, startResponder } from './responder-peer.js'

const KEEP = 1
const MiB = 1024 * 1024

async function echo(fcgi: FastCgiRequest): Promise<void> {
  const body: Buffer[] = []
  for await (const chunk of fcgi.stdin) body.push(chunk as Buffer)
  fcgi.stdout.write(`X: ${fcgi.params.get('HTTP_X') ?? ''}\r\n\r\n`)
  fcgi.stdout.write(Buffer.concat(body))
}

const variables = { HTTP_X: 'x'.repeat(130), HTTP_EMPTY: '' }
const expected = `X: ${variables.HTTP_X}\r\n\r\nbody\xff`

t.test('§3.3 the same answer for every cut in two, byte by byte, and any cut at all', async t => {
  const { path } = await startResponder(t, { handle: echo })
  const bytes = request(1, variables, 'body\xff', KEEP)
  const peer = await Peer.open(t, path)
  peer.socket.setNoDelay(true)
  const ask = async (parts: readonly Buffer[]): Promise<string> => {
    for (const part of parts) {
      peer.socket.write(part)
      // A turn of the loop, so that the parts are read one by one.
      await new Promise(setImmediate)
    }
    return (await peer.answer()).stdout
  }
  for (const parts of everySplit(bytes)) {
    if ((await ask(parts)) !== expected) t.fail(`cut at ${parts[0]?.length}`)
  }
  t.equal(await ask(byteByByte(bytes)), expected)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 12 }), async cuts => {
      const places = [0, ...cuts.sort((a, b) => a - b), bytes.length]
      const parts = places.slice(1).map((end, index) => bytes.subarray(places[index], end))
      return (await ask(parts)) === expected
    }),
    { numRuns: 100 },
  )
})

t.test(
  'G-51 a slow reader holds nobody up, as long as what is held stays within its limit',
  async t => {
    const limit = 256 * 1024
    const inputs: Readable[] = []
    const { path } = await startResponder(t, {
      maxBufferedBytes: limit,
      handle: fcgi => {
        if (fcgi.params.get('REQUEST_URI') !== '/slow') return echo(fcgi)
        inputs.push(fcgi.stdin)
        return undefined
      },
    })
    const peer = await Peer.open(t, path)
    const quick = async (id: number): Promise<void> => {
      peer.send(request(id, variables, 'body\xff', KEEP))
      t.equal((await peer.answer(id)).stdout, expected)
    }
    peer.send(head(1, { REQUEST_URI: '/slow', CONTENT_LENGTH: String(limit + 1) }, KEEP))
    const piece = record(STDIN, 1, Buffer.alloc(32 * 1024))
    for (let sent = 0; sent < limit; sent += 32 * 1024) peer.send(piece)
    await quick(2)
    // One byte past the limit: the whole connection waits.
    peer.send(record(STDIN, 1, 'z'))
    const [input] = inputs
    await waitFor('it has come', () => input?.readableLength === limit + 1)
    peer.send(request(4, variables, 'body\xff', KEEP))
    const before = await settled('what has come', () => peer.records.length)
    t.equal(before, 0, 'request 4 waits')
    let count = 0
    input?.on('data', (chunk: Buffer) => {
      count += chunk.length
    })
    t.equal((await peer.answer(4)).stdout, expected, 'and goes on when the slow one reads')
    await waitFor('the whole body', () => count === limit + 1)
  },
)

t.test('many tiny pieces count for more than their bytes', async t => {
  const inputs: Readable[] = []
  const handle = (fcgi: FastCgiRequest): void => void inputs.push(fcgi.stdin)
  const { path } = await startResponder(t, { maxBufferedBytes: 64 * 1024, handle })
  const peer = await Peer.open(t, path)
  peer.send(head(1, { CONTENT_LENGTH: '1000000' }, KEEP))
  const one = record(STDIN, 1, 'a')
  const many = Buffer.concat(Array.from({ length: 10_000 }, () => one))
  for (let round = 0; round < 40; round++) peer.send(many)
  const unsent = await settled('what is left to send', () => peer.socket.writableLength)
  t.ok(unsent > MiB, `${unsent} bytes have not been taken`)
  // As few as a stream wants to have anyway, and those that came in the same read.
  const kept = inputs[0]?.readableLength ?? 0
  const most = getDefaultHighWaterMark(false) + 24_000
  t.ok(kept < most, `${kept} pieces of one byte are kept`)
  // A connection that waits does not see that its peer has gone, until the request reads on.
  peer.socket.destroy()
  inputs[0]?.resume()
})

t.test('64 MiB up and 64 MiB down, with flat memory', async t => {
  const path = join(tempRoot(t).path, 'app.sock')
  const server = createServer(async (req, res) => {
    let count = 0
    for await (const chunk of req) count += (chunk as Buffer).length
    await pipeline(Readable.from(blocks(count)), res)
  })
  await server.listen(path)
  t.teardown(() => server.close())
  const peer = await Peer.open(t, path)
  // What comes is counted and dropped.
  peer.socket.removeAllListeners('data')
  let received = 0
  let tail = Buffer.alloc(0)
  peer.socket.on('data', chunk => {
    received += chunk.length
    tail = Buffer.from(chunk.subarray(-16))
  })
  let most = 0
  const look = (): void => {
    most = Math.max(most, memoryOf(process.pid, 'VmRSS'))
  }
  const part = record(STDIN, 1, Buffer.alloc(32 * 1024))
  const roundTrip = async (size: number): Promise<void> => {
    received = 0
    peer.send(head(1, { CONTENT_LENGTH: String(size), REQUEST_METHOD: 'POST' }, KEEP))
    for (let sent = 0; sent < size; sent += 32 * 1024) {
      if (!peer.socket.write(part)) await once(peer.socket, 'drain')
      if (sent % MiB === 0) look()
    }
    peer.send(stream(STDIN, 1, ''))
    const complete = (): boolean => {
      look()
      return received > size && tail[1] === 3
    }
    await waitFor('all of it', complete, 30_000)
  }
  // What the first of them costs is the garbage that a run of any length has.
  await roundTrip(32 * MiB)
  const before = most
  await roundTrip(64 * MiB)
  const grown = (most - before) / MiB
  t.ok(grown < 48, `${grown.toFixed(0)} MiB more`)
})

function* blocks(size: number): Generator<Buffer> {
  for (let made = 0; made < size; made += 64 * 1024) yield Buffer.alloc(64 * 1024, 'd')
}

t.test('a web server that does not read holds the writer back', async t => {
  let written = 0
  const { path } = await startResponder(t, {
    handle: async fcgi => {
      for (const block of blocks(64 * MiB)) {
        if (!fcgi.stdout.write(block)) await once(fcgi.stdout, 'drain')
        written += block.length
      }
    },
  })
  const peer = await Peer.open(t, path)
  peer.socket.pause()
  peer.send(request(1))
  const taken = await settled('what was written', () => written)
  t.ok(taken < 4 * MiB, `${taken} bytes were taken`)
  peer.socket.resume()
  t.equal((await peer.answer()).stdout.length, 64 * MiB)
})
