/**
 * An application that misbehaves, in each of its ways, costs one request its documented status and nothing
 * else: a neighbour in flight is answered, so are those that come after, and every place is there again.
 * (What each way is called in the log: `test/fastcgi/gateway.test.ts`.) Descriptors, timers and processes
 * are counted in teardown.
 */
import t, { type Test } from 'tap'
import { defaultFastCgiRoute, type FastCgiRoute } from '../../src/server/config.js'
import { end, hex, record, STDERR, STDOUT } from '../support/fastcgi-bytes.js'
import { fastCgiRoute } from '../support/fastcgi-route.js'
import {
  answerBytes,
  type Script,
  type ScriptedWorker,
  type SeenRequest,
  startWorker,
} from '../support/fastcgi-worker.js'
import { startTestServer, type TestServer } from '../support/serve.js'
import { waitFor } from '../support/wait-for.js'

/** Sends the same bytes as long as they are taken, without an end. */
function unending(piece: (id: number) => Buffer, first: (id: number) => Buffer): Script {
  return request => {
    const bytes = piece(request.id)
    const more = (): void => {
      if (request.socket.destroyed) return
      if (request.send(bytes)) setImmediate(more)
    }
    request.socket.on('drain', more)
    request.send(first(request.id))
    more()
  }
}

const head = (id: number): Buffer => record(STDOUT, id, 'Content-Type: text/plain\r\n\r\n')
const none = (): Buffer => Buffer.alloc(0)

interface Way {
  readonly what: string
  readonly script: Script
  readonly status: number
  /** The body ends before it is whole, and looks so. */
  readonly truncated?: true
  readonly text?: string
  readonly error?: string
  /** The connection is broken: whoever shares it is sent again on another. */
  readonly breaks?: true
  /** It goes on until its connection is closed, and has its place until then. */
  readonly endless?: true
}

const ways: readonly Way[] = [
  {
    what: 'F-4 never answers',
    script: () => {},
    ...{ status: 504, error: 'FIRST_BYTE_TIMEOUT', endless: true },
  },
  {
    what: 'F-4 stops in its head',
    script: request => request.send(record(STDOUT, request.id, 'X-A: 1\r\n')),
    ...{ status: 504, error: 'IDLE_TIMEOUT', endless: true },
  },
  {
    what: 'dies in a record of its head',
    script: request => request.socket.end(head(request.id).subarray(0, 13)),
    ...{ status: 502, error: 'UPSTREAM_CLOSED', breaks: true },
  },
  {
    what: 'E-31 dies between head and body',
    script: request => request.socket.end(head(request.id)),
    ...{ status: 200, truncated: true, error: 'TRUNCATED', breaks: true },
  },
  {
    what: 'E-31 dies in a record of its body',
    script: request =>
      request.socket.end(
        Buffer.concat([
          head(request.id),
          record(STDOUT, request.id, 'x'.repeat(1_000)).subarray(0, 500),
        ]),
      ),
    ...{ status: 200, truncated: true, error: 'TRUNCATED', breaks: true },
  },
  {
    what: 'F-1, G-5 1 MB of STDERR before STDOUT',
    script: request => {
      const line = record(STDERR, request.id, `${'e'.repeat(9_999)}\n`)
      request.send(...Array.from({ length: 100 }, () => line), answerBytes(request.id, '\r\nfine'))
    },
    ...{ status: 200, text: 'fine' },
  },
  {
    what: 'F-1, F-4 unending STDERR and no answer',
    script: unending(id => record(STDERR, id, `${'e'.repeat(9_999)}\n`), none),
    ...{ status: 504, error: 'FIRST_BYTE_TIMEOUT', endless: true },
  },
  {
    what: 'E-28 an unending head',
    script: unending(id => record(STDOUT, id, `X-A: ${'a'.repeat(9_000)}\r\n`), none),
    ...{ status: 502, error: 'UPSTREAM_HEAD_TOO_LARGE', endless: true },
  },
  {
    what: 'E-17 an unending body behind its Content-Length',
    script: unending(
      id => record(STDOUT, id, Buffer.alloc(60_000, 'b')),
      id => record(STDOUT, id, 'Content-Length: 4\r\n\r\nfine'),
    ),
    ...{ status: 200, text: 'fine', endless: true },
  },
  {
    what: 'G-14 answers for ids that nobody has',
    script: request =>
      request.send(answerBytes(99, '\r\nno'), end(0xffff), answerBytes(request.id, '\r\nfine')),
    ...{ status: 200, text: 'fine' },
  },
  {
    what: 'G-14 answers twice',
    script: request =>
      request.send(
        answerBytes(request.id, '\r\nfine'),
        answerBytes(request.id, 'Status: 500\r\n\r\nagain'),
      ),
    ...{ status: 200, text: 'fine' },
  },
  {
    what: 'G-15 another version',
    script: request => request.send(Buffer.from([2, STDOUT, 0, request.id, 0, 0, 0, 0])),
    ...{ status: 502, error: 'PROTOCOL_ERROR', breaks: true },
  },
  {
    what: 'G-15 another version in its body',
    script: request =>
      request.send(head(request.id), Buffer.from([0, STDOUT, 0, request.id, 0, 0, 0, 0])),
    ...{ status: 200, truncated: true, error: 'PROTOCOL_ERROR', breaks: true },
  },
  {
    what: 'G-9 END_REQUEST before the head',
    script: request => request.send(end(request.id)),
    ...{ status: 502, error: 'UPSTREAM_NO_OUTPUT' },
  },
  {
    what: 'G-12 UNKNOWN_ROLE',
    script: request => request.send(end(request.id, 0, 3)),
    ...{ status: 502, error: 'UPSTREAM_ROLE' },
  },
  {
    what: 'G-11 OVERLOADED',
    script: request => request.send(end(request.id, 0, 2)),
    ...{ status: 503, error: 'UPSTREAM_OVERLOADED' },
  },
]

interface Subject {
  readonly worker: ScriptedWorker
  readonly server: TestServer
  /** Requests that wait for the test's answer. */
  readonly held: SeenRequest[]
}

/** Three at once: on connections of their own, or on one. */
async function start(t: Test, script: Script, isShared: boolean): Promise<Subject> {
  const held: SeenRequest[] = []
  const scripts = { '/bad': script, '/hold': (request: SeenRequest) => void held.push(request) }
  const worker = await startWorker(t, scripts, {
    values: socket => {
      const pairs = '0e01"FCGI_MAX_CONNS1"0d01"FCGI_MAX_REQS3"0f01"FCGI_MPXS_CONNS1"'
      socket.write(record(10, 0, hex(pairs)))
    },
  })
  const timeouts = {
    ...defaultFastCgiRoute.timeouts,
    ...{ firstByteMs: 400, idleMs: 400, graceMs: 50 },
  }
  const shape: Partial<FastCgiRoute> = isShared ? { probe: true } : { capacity: 3 }
  const { address } = worker
  const server = await startTestServer(t, {
    routes: () => [fastCgiRoute('/app/', { address, timeouts, ...shape })],
  })
  return { worker, server, held }
}

for (const { what, script, status, truncated = false, text, error, breaks, endless } of ways) {
  for (const isShared of [false, true]) {
    t.test(`${what}${isShared ? ', on a shared connection' : ''}`, async t => {
      const { worker, server, held } = await start(t, script, isShared)
      t.equal((await server.request('/app/first')).text(), '/first')
      const neighbour = server.request('/app/hold')
      await waitFor('the neighbour', () => held[0])
      const broken = server.request('/app/bad', { method: 'POST', body: 'x' })
      if (breaks === true && isShared) await waitFor('the neighbour once more', () => held[1])
      else await waitFor('the bad one', () => worker.requests[2])
      held.at(-1)?.answer('\r\nneighbour')
      t.equal((await neighbour).text(), 'neighbour')

      const response = await broken
      t.equal(response.status, status)
      t.equal(response.truncated, truncated)
      if (text !== undefined) t.equal(response.text(), text)
      if (status === 503) t.ok(response.header('retry-after'))
      t.equal((await server.accessFor('/app/bad')).error, error)

      for (let i = 0; i < 4; i++) t.equal((await server.request('/app/next')).text(), '/next')
      if (endless === true) {
        const bad = worker.requests.find(({ params }) => params.get('PATH_INFO') === '/bad')
        await waitFor('its connection is closed', () => bad?.socket.destroyed)
      }
      held.length = 0
      const all = [1, 2, 3, 4].map(() => server.request('/app/hold'))
      await waitFor('every place is there again', () => held.length === 3)
      for (let at = 0; at < 4; at++) {
        const request = await waitFor('the next in line', () => held[at])
        t.ok(held.length - at <= 3, 'and not one more')
        request.answer('\r\nheld')
      }
      for (const each of all) t.equal((await each).text(), 'held')
      t.ok(worker.open <= 3, `${worker.open} connections are open`)
    })
  }
}
