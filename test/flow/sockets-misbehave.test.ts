/**
 * An SCGI or uwsgi application that misbehaves, in each of its ways, costs one request its documented status
 * and nothing else: a neighbour in flight is answered, so are those that come after, and every place is there
 * again. Descriptors, timers and processes are counted in teardown.
 */
import t, { type Test } from 'tap'
import { defaultScgiRoute } from '../../src/server/config.js'
import { startTestServer, type TestServer } from '../support/serve.js'
import {
  type SeenSocketRequest,
  type SocketKind,
  type SocketScript,
  type SocketWorker,
  socketKinds,
  socketRoute,
  startSocketWorker,
} from '../support/socket-worker.js'
import { waitFor } from '../support/wait-for.js'

interface Way {
  readonly what: string
  readonly script: SocketScript
  readonly status: number
  /** The body ends before it is whole, and looks so. */
  readonly truncated?: true
  readonly text?: string
  readonly error?: string
}

const plain = 'Content-Type: text/plain\r\n\r\n'

/** Sends the same bytes as long as they are taken, without an end. */
function unending(first: string, piece: string): SocketScript {
  return ({ socket }) => {
    const more = (): void => {
      if (socket.destroyed) return
      if (socket.write(piece)) setImmediate(more)
    }
    socket.on('drain', more)
    socket.write(first)
    more()
  }
}

const ways: readonly Way[] = [
  {
    what: 'F-4 never answers',
    script: () => {},
    ...{ status: 504, error: 'FIRST_BYTE_TIMEOUT' },
  },
  {
    what: 'F-4 stops in its head',
    script: ({ socket }) => void socket.write('X-A: 1\r\n'),
    ...{ status: 504, error: 'IDLE_TIMEOUT' },
  },
  {
    what: 'F-4 stops in its body',
    script: ({ socket }) => void socket.write(`${plain}some`),
    ...{ status: 200, truncated: true, error: 'IDLE_TIMEOUT' },
  },
  {
    what: 'E-30 closes without a byte',
    script: request => request.answer(''),
    ...{ status: 502, error: 'UPSTREAM_NO_OUTPUT' },
  },
  {
    what: 'E-30 dies in its head',
    script: request => request.answer('Content-Type: text/pl'),
    ...{ status: 502, error: 'UPSTREAM_BAD_HEAD' },
  },
  {
    what: 'E-18 dies in its body',
    script: request => request.answer(`Content-Length: 20\r\n\r\n0123456789`),
    ...{ status: 200, truncated: true, error: 'TRUNCATED' },
  },
  {
    what: 'H-4 without Content-Length the end of the connection is the end of the answer',
    script: request => request.answer(`${plain}some`),
    ...{ status: 200, text: 'some' },
  },
  {
    what: 'E-30 answers with garbage',
    script: request => request.answer(Buffer.from('8f00ff0a0a0d80', 'hex')),
    ...{ status: 502, error: 'UPSTREAM_BAD_HEAD' },
  },
  {
    what: 'E-30 answers with garbage and goes on',
    script: unending('no colon here\n', 'x'.repeat(10_000)),
    ...{ status: 502, error: 'UPSTREAM_BAD_HEAD' },
  },
  {
    what: 'E-28 answers with megabytes of head',
    script: unending('X-A: 1\r\n', `X-Long: ${'x'.repeat(1_000)}\r\n`),
    ...{ status: 502, error: 'UPSTREAM_HEAD_TOO_LARGE' },
  },
  {
    what: 'E-17 floods behind its Content-Length',
    script: unending('Content-Length: 4\r\n\r\nsome', 'x'.repeat(10_000)),
    ...{ status: 200, text: 'some' },
  },
  {
    what: 'E-4 answers with a status that is none',
    script: request => request.answer('Status: abc\r\n\r\n'),
    ...{ status: 502, error: 'UPSTREAM_BAD_HEAD' },
  },
  {
    what: 'E-19 answers in chunks that nobody asked for',
    script: request => request.answer('Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
    ...{ status: 502, error: 'UPSTREAM_BAD_HEAD' },
  },
]

interface Subject {
  readonly worker: SocketWorker
  readonly server: TestServer
  /** Requests that wait for the test's answer. */
  readonly held: SeenSocketRequest[]
}

/** Two at once. */
async function start(t: Test, kind: SocketKind, script: SocketScript): Promise<Subject> {
  const held: SeenSocketRequest[] = []
  const scripts = { '/bad': script, '/hold': (asked: SeenSocketRequest) => void held.push(asked) }
  const worker = await startSocketWorker(t, kind, scripts, { tcp: true })
  const timeouts = {
    ...defaultScgiRoute.timeouts,
    ...{ firstByteMs: 200, idleMs: 200, graceMs: 50 },
  }
  const server = await startTestServer(t, {
    routes: () => [socketRoute(kind, '/app/', [worker.address], { timeouts, capacity: 2 })],
  })
  return { worker, server, held }
}

for (const kind of socketKinds) {
  for (const { what, script, status, truncated = false, text, error } of ways) {
    t.test(`${kind}: ${what}`, async t => {
      const { worker, server, held } = await start(t, kind, script)
      const neighbour = server.request('/app/hold')
      await waitFor('the neighbour', () => held[0])
      const broken = server.request('/app/bad')
      await waitFor('the bad one', () => worker.requests[1])
      held[0]?.answer('\r\nneighbour')
      t.equal((await neighbour).text(), 'neighbour')

      const response = await broken
      t.equal(response.status, status)
      t.equal(response.truncated, truncated)
      if (text !== undefined) t.equal(response.text(), text)
      t.equal((await server.accessFor('/app/bad')).error, error)
      await waitFor('all connections are closed', () => worker.open === 0)

      held.length = 0
      const all = [1, 2, 3].map(() => server.request('/app/hold'))
      await waitFor('every place is there again', () => held.length === 2)
      for (let at = 0; at < 3; at++) {
        const request = await waitFor('the next in line', () => held[at])
        t.ok(held.length - at <= 2, 'and not one more')
        request.answer('\r\nheld')
      }
      for (const each of all) t.equal((await each).text(), 'held')
    })
  }
}
