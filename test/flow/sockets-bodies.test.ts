/**
 * Bodies both ways over SCGI and uwsgi: larger than memory would like, slower than the other side, and not
 * wanted at all (D-6, D-8, L-1). 64 MiB, or 1 GiB with POSTERN_LARGE=1.
 */
import t from 'tap'
import { largeBytes, largeDeadlineMs, pour } from '../support/memory.js'
import { startTestServer } from '../support/serve.js'
import {
  abortConnection,
  type SeenSocketRequest,
  socketKinds,
  socketRoute,
  startSocketWorker,
} from '../support/socket-worker.js'
import { settled, waitFor } from '../support/wait-for.js'

const MiB = 1024 * 1024
const piece = Buffer.alloc(256 * 1024)
// Server, client and application are one process here.
const growthLimit = 200 * MiB

t.setTimeout(largeDeadlineMs)

for (const kind of socketKinds) {
  t.test(`${kind}: D-8 a large body streams to the application`, async t => {
    const worker = await startSocketWorker(
      t,
      kind,
      {
        '/count': request => {
          const { socket } = request
          socket.on('data', () => {
            if (request.bodyBytes === largeBytes) request.answer('\r\nwhole')
          })
        },
      },
      { countsOnly: true },
    )
    const server = await startTestServer(t, {
      routes: () => [socketRoute(kind, '/app/', [worker.address])],
    })
    const before = process.memoryUsage().rss
    const connection = await server.connect()
    connection.send(`POST /app/count HTTP/1.1\r\nHost: a\r\nContent-Length: ${largeBytes}\r\n\r\n`)
    await pour(connection, bytes => bytes)
    t.equal((await connection.response({}, largeDeadlineMs)).text(), 'whole')
    const grown = process.memoryUsage().rss - before
    t.ok(grown < growthLimit, `grew by ${grown / MiB} MiB`)
    t.equal(worker.requests[0]?.variables.get('CONTENT_LENGTH'), String(largeBytes))
  })

  t.test(`${kind}: a large answer streams to the client`, async t => {
    const worker = await startSocketWorker(t, kind, {
      '/pour': ({ socket }) => {
        let left = largeBytes
        const more = (): void => {
          while (left > 0) {
            left -= piece.length
            if (!socket.write(piece)) return
          }
          socket.end()
        }
        socket.on('drain', more)
        socket.write('\r\n')
        more()
      },
    })
    const server = await startTestServer(t, {
      routes: () => [socketRoute(kind, '/app/', [worker.address])],
    })
    const before = process.memoryUsage().rss
    let bytes = 0
    let peak = 0
    const connection = await server.connect()
    connection.request('/app/pour')
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length
      peak = Math.max(peak, process.memoryUsage().rss)
    }
    await connection.response({ onData }, largeDeadlineMs)
    t.equal(bytes, largeBytes)
    t.ok(peak - before < growthLimit, `grew by ${(peak - before) / MiB} MiB`)
  })

  t.test(`${kind}: a client that does not read holds the application back`, async t => {
    let sent = 0
    const worker = await startSocketWorker(t, kind, {
      '/pour': ({ socket }) => {
        const more = (): void => {
          for (;;) {
            sent += piece.length
            if (!socket.write(piece)) return
          }
        }
        socket.on('drain', more)
        socket.write('\r\n')
        more()
      },
    })
    const server = await startTestServer(t, {
      routes: () => [socketRoute(kind, '/app/', [worker.address])],
    })
    const connection = await server.connect()
    connection.request('/app/pour')
    // Nobody reads on this side.
    await waitFor('it has begun', () => sent > 0)
    const stopped = await settled('what the application could send', () => sent)
    t.ok(stopped < 32 * MiB, `${stopped / MiB} MiB`)
    connection.destroy()
    await waitFor('the application is told', () => worker.open === 0)
  })

  t.test(`${kind}: L-1, D-6 an answer before the body is read, and the end`, async t => {
    const worker = await startSocketWorker(t, kind, {
      '/early': ({ socket }) => {
        socket.pause()
        socket.write('Status: 401\r\nContent-Type: text/plain\r\n\r\nno', () => socket.destroy())
      },
    })
    const server = await startTestServer(t, {
      routes: () => [socketRoute(kind, '/app/', [worker.address])],
    })
    for (const length of [10, 10_000, 4 * MiB]) {
      const connection = await server.connect()
      connection.request('/app/early', { method: 'PUT', body: Buffer.alloc(length) })
      const response = await connection.response()
      t.equal(response.status, 401, `${length} bytes`)
      t.equal(response.text(), 'no')
      connection.request('/app/next')
      t.equal((await connection.response()).text(), '/next', 'and the connection goes on')
      connection.destroy()
    }
  })

  t.test(`${kind}: E-31 a connection that is reset breaks the answer off`, async t => {
    const held: SeenSocketRequest[] = []
    const scripts = {
      '/hold': (request: SeenSocketRequest) => {
        held.push(request)
        request.socket.write('\r\nbegun')
      },
    }
    const worker = await startSocketWorker(t, kind, scripts, { tcp: true })
    const server = await startTestServer(t, {
      routes: () => [socketRoute(kind, '/app/', [worker.address])],
    })
    const connection = await server.connect()
    connection.request('/app/hold')
    const response = await connection.response({
      onData: () => {
        for (const { socket } of held.splice(0)) abortConnection(socket)
      },
    })
    t.equal(response.status, 200)
    t.equal(response.truncated, true)
    t.equal((await server.accessFor('/app/hold')).error, 'TRUNCATED')
  })
}
