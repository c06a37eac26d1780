/**
 * So many programs at once, the rest wait in line, the line is bounded: what happens at each edge
 * (conventions, "Which 5xx"; promise 2 of the design).
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { program } from '../support/programs.js'
import type { RawConnection } from '../support/raw-http.js'
import { cgiRoute, startTestServer, type TestServer } from '../support/serve.js'

const scripts = { 'gated.cgi': program('gated.sh') } as const

/** Sends a request for gated.cgi and lets the server see it before anything that is sent later. */
async function ask(server: TestServer, name: string): Promise<RawConnection> {
  const connection = await server.connect()
  connection.request(`/cgi-bin/gated.cgi?${name}`)
  // Sockets become readable in the order in which they were written to; an answer to a later request
  // on another connection means that this one has been read.
  await server.request('/nothing-here')
  return connection
}

t.test('one at a time, first in first out', async t => {
  const route = { processes: 1, queue: { length: 16, waitMs: 10_000 } }
  const server = await startTestServer(t, { scripts, route })
  const names = ['a', 'b', 'c', 'd', 'e', 'f']
  const connections: RawConnection[] = []
  for (const name of names) connections.push(await ask(server, name))
  await server.root.note('running-a')
  server.root.leave('go')
  for (const [i, connection] of connections.entries()) {
    t.equal((await connection.response()).text(), `${names[i]}\n`)
  }
  const order = readFileSync(join(server.root.notes, 'order'), 'utf8').trim().split('\n')
  t.strictSame(order, names)
})

t.test('processes at once, no more and no fewer', async t => {
  const route = { processes: 3, queue: { length: 16, waitMs: 10_000 } }
  const server = await startTestServer(t, { scripts, route })
  const names = ['a', 'b', 'c', 'd', 'e']
  const connections: RawConnection[] = []
  for (const name of names) connections.push(await ask(server, name))
  for (const name of names.slice(0, 3)) await server.root.note(`running-${name}`)
  const running = readFileSync(join(server.root.notes, 'order'), 'utf8').trim().split('\n')
  t.strictSame(running.sort(), ['a', 'b', 'c'])
  server.root.leave('go')
  for (const connection of connections) t.equal((await connection.response()).status, 200)
})

t.test('a full line is 503 with Retry-After, at once', async t => {
  const route = { processes: 1, queue: { length: 1, waitMs: 10_000 } }
  const server = await startTestServer(t, { scripts, route })
  const first = await ask(server, 'first')
  const second = await ask(server, 'second')
  const third = await server.request('/cgi-bin/gated.cgi?third')
  t.equal(third.status, 503)
  t.match(third.header('retry-after'), /^[1-9]\d*$/)
  await server.recordOf('QUEUE_FULL')
  server.root.leave('go')
  t.equal((await first.response()).text(), 'first\n')
  t.equal((await second.response()).text(), 'second\n', 'who waited in line is served')
})

t.test('waiting too long is 503 with Retry-After', async t => {
  const route = { processes: 1, queue: { length: 4, waitMs: 150 } }
  const server = await startTestServer(t, { scripts, route })
  const first = await ask(server, 'first')
  const second = await server.request('/cgi-bin/gated.cgi?second')
  t.equal(second.status, 503)
  t.match(second.header('retry-after'), /^[1-9]\d*$/)
  await server.recordOf('QUEUE_TIMEOUT')
  server.root.leave('go')
  t.equal((await first.response()).text(), 'first\n')
  t.equal(
    (await server.request('/cgi-bin/gated.cgi?third')).text(),
    'third\n',
    'a free place again',
  )
})

t.test('no line at all', async t => {
  const route = { processes: 1, queue: { length: 0, waitMs: 10_000 } }
  const server = await startTestServer(t, { scripts, route })
  const first = await ask(server, 'first')
  t.equal((await server.request('/cgi-bin/gated.cgi?second')).status, 503)
  server.root.leave('go')
  t.equal((await first.response()).text(), 'first\n')
})

t.test('one route full does not stop another, nor files', async t => {
  const route = { processes: 1, queue: { length: 0, waitMs: 10_000 } }
  const server = await startTestServer(t, {
    scripts,
    files: { 'page.txt': 'a page' },
    route,
    routes: root => [
      cgiRoute(root, { path: '/other/', env: { set: { NOTES: root.path }, pass: [] } }),
    ],
  })
  const first = await ask(server, 'first')
  t.equal((await server.request('/page.txt')).text(), 'a page')
  const other = await server.connect()
  other.request('/other/gated.cgi?other')
  server.root.leave('go')
  server.root.leave('../go')
  t.equal((await other.response()).text(), 'other\n')
  t.equal((await first.response()).text(), 'first\n')
})

t.test('the time in line is in the access line', async t => {
  const route = { processes: 1, queue: { length: 4, waitMs: 10_000 } }
  const server = await startTestServer(t, { scripts, route })
  const first = await ask(server, 'first')
  const second = await ask(server, 'second')
  server.root.leave('go')
  await first.response()
  await second.response()
  const waited = await server.accessFor('gated.cgi?second')
  t.ok(Number(waited.queueMs) > 0, `queueMs is ${waited.queueMs}`)
})
