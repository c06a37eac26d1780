/**
 * Answers that are larger, slower or noisier than they should be: memory stays flat, the application is held
 * back, and neighbours on a shared connection are not stalled by a slow client until a bound is passed.
 */
import { createHash, randomBytes } from 'node:crypto'
import t from 'tap'
import { end, hex, record, STDERR, STDOUT } from '../support/fastcgi-bytes.js'
import { fastCgiRoute } from '../support/fastcgi-route.js'
import {
  type Script,
  type SeenRequest,
  startWorker,
  stderrBytes,
} from '../support/fastcgi-worker.js'
import { openDescriptors } from '../support/processes.js'
import { startTestServer } from '../support/serve.js'
import { waitFor } from '../support/wait-for.js'

const MiB = 1024 * 1024
const size = process.env.POSTERN_LARGE === '1' ? 1024 * MiB : 64 * MiB

/** Sends records as fast as they are taken; `taken` counts the bytes of their contents. */
function pour(
  request: SeenRequest,
  piece: Buffer,
  records: number,
  last: Buffer,
): { taken: number } {
  const state = { taken: 0 }
  let left = records
  const next = (): void => {
    while (left > 0) {
      left--
      state.taken += piece.length
      if (!request.send(piece)) return
    }
    request.socket.off('drain', next)
    request.send(last)
  }
  request.socket.on('drain', next)
  next()
  return state
}

t.test('an answer larger than memory would like streams through', async t => {
  const piece = 64_000
  const count = Math.ceil(size / piece)
  const worker = await startWorker(t, {
    '/large': request => {
      request.send(record(STDOUT, 1, '\r\n'))
      pour(request, record(STDOUT, 1, Buffer.alloc(piece)), count, end(1))
    },
  })
  const { address } = worker
  const server = await startTestServer(t, { routes: () => [fastCgiRoute('/app/', { address })] })
  const before = process.memoryUsage().rss
  let bytes = 0
  let peak = 0
  const connection = await server.connect()
  connection.request('/app/large')
  await connection.response({
    onData: chunk => {
      bytes += chunk.length
      peak = Math.max(peak, process.memoryUsage().rss)
    },
  })
  t.equal(bytes, count * piece)
  // Server, client and application are one process here.
  t.ok(peak - before < 200 * MiB, `grew by ${(peak - before) / MiB} MiB`)
})

t.test('every byte arrives, in order, whatever lies between the records', async t => {
  const sizes = [65_535, 8_184, 8_184, 8_184, 1, 7, 40_000, 65_535, 65_535, 500, 20_000, 65_535]
  const contents = sizes.map(length => randomBytes(length))
  // Something else between two pieces of one read.
  const records = contents.map(content =>
    Buffer.concat([record(STDOUT, 1, content, 3), record(STDERR, 1, 'note ')]),
  )
  const rounds = 60
  const expected = createHash('sha256')
  for (let round = 0; round < rounds; round++)
    for (const content of contents) expected.update(content)
  const worker = await startWorker(t, {
    '/large': request => {
      request.send(record(STDOUT, 1, '\r\n'))
      pour(request, Buffer.concat(records), rounds, end(1))
    },
  })
  const { address } = worker
  const server = await startTestServer(t, { routes: () => [fastCgiRoute('/app/', { address })] })
  const came = createHash('sha256')
  const connection = await server.connect()
  connection.request('/app/large')
  await connection.response({ onData: chunk => came.update(chunk) })
  t.equal(came.digest('hex'), expected.digest('hex'))
})

t.test('D-8 a client that does not read holds the application back', async t => {
  let state = { taken: 0 }
  const worker = await startWorker(t, {
    '/large': request => {
      request.send(record(STDOUT, 1, '\r\n'))
      state = pour(request, record(STDOUT, 1, Buffer.alloc(64_000)), 2_000, end(1))
    },
  })
  const { address } = worker
  const server = await startTestServer(t, {
    routes: () => [fastCgiRoute('/app/', { address, capacity: 2 })],
  })
  const connection = await server.connect()
  connection.request('/app/large')
  let last = -1
  let same = 0
  await waitFor('the application is held back', () => {
    same = state.taken > 0 && state.taken === last ? same + 1 : 0
    last = state.taken
    return same > 20
  })
  t.ok(state.taken < 40 * MiB, `${state.taken} bytes were taken`)
  t.equal((await server.request('/app/next')).text(), '/next', 'others go on')
  let bytes = 0
  await connection.response({
    onData: chunk => {
      bytes += chunk.length
    },
  })
  t.equal(bytes, 128_000_000)
})

t.test('a slow client on a shared connection: others go on until 256 KiB are held', async t => {
  const requests: SeenRequest[] = []
  const hold: Script = request => void requests.push(request)
  const worker = await startWorker(
    t,
    { '/slow': hold, '/quick': hold },
    {
      values: socket => {
        const pairs = '0e01"FCGI_MAX_CONNS1"0d01"FCGI_MAX_REQS4"0f01"FCGI_MPXS_CONNS1"'
        socket.write(record(10, 0, hex(pairs)))
      },
    },
  )
  const { address } = worker
  const server = await startTestServer(t, {
    routes: () => [fastCgiRoute('/app/', { address, probe: true })],
  })
  const slow = await server.connect()
  slow.request('/app/slow')
  const first = await waitFor('the slow one', () => requests[0])
  first.send(record(STDOUT, first.id, '\r\n'))
  // Fill what the system holds for a client that does not read, until the server keeps some itself.
  const filler = record(STDOUT, first.id, Buffer.alloc(60_000))
  let sent = 0
  await waitFor('the connection is full', () => {
    if (first.socket.writableLength > 0) return true
    sent += 60_000
    first.send(filler)
    return false
  })
  t.ok(sent < 60 * MiB)
  // The connection is paused as a whole now; it goes on as soon as the client reads.
  const quick = server.request('/app/quick')
  let bytes = 0
  const reading = slow.response({
    onData: chunk => {
      bytes += chunk.length
    },
  })
  const second = await waitFor('the quick one', () => requests[1])
  t.equal(second.connection, first.connection)
  second.answer('\r\nquick')
  t.equal((await quick).text(), 'quick')
  first.send(end(first.id))
  await reading
  t.equal(bytes, sent)
})

t.test(
  'F-1, F-2 a flood of STDERR is drained, logged up to the cap, and costs nothing else',
  async t => {
    const line = stderrBytes(1, `${'e'.repeat(999)}\n`)
    const worker = await startWorker(t, {
      '/flood': request => {
        const flood = Buffer.concat(Array.from({ length: 50 }, () => line))
        pour(request, flood, 100, Buffer.concat([record(STDOUT, 1, '\r\nfine'), end(1)]))
      },
    })
    const { address } = worker
    const server = await startTestServer(t, { routes: () => [fastCgiRoute('/app/', { address })] })
    t.equal((await server.request('/app/flood')).text(), 'fine')
    t.ok(await server.recordOf('truncated after 65536 bytes'))
    const logged = server.records.filter(({ message }) => message.startsWith('eee'))
    t.equal(logged.length, 66)
  },
)

t.test('descriptors are back after every way to break', async t => {
  const worker = await startWorker(t, {
    '/close': request => request.socket.destroy(),
    '/half': request => request.socket.end(record(STDOUT, 1, '\r\nhalf')),
    '/bad': request => void request.socket.write('no FastCGI'),
  })
  const { address } = worker
  const server = await startTestServer(t, {
    routes: () => [fastCgiRoute('/app/', { address, capacity: 1 })],
  })
  await server.request('/app/x')
  await waitFor('the client is gone', () => worker.open === 1)
  const before = openDescriptors().size
  for (let i = 0; i < 10; i++) {
    for (const path of ['/close', '/half', '/bad', '/next']) await server.request(`/app${path}`)
  }
  await waitFor('descriptors are back', () => openDescriptors().size <= before)
  t.pass(`${before} descriptors`)
})
