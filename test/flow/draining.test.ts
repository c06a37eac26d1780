/**
 * The server goes down: what runs may finish, nothing new starts, and what does not finish is ended with
 * its whole group (conventions C-10, F-8).
 */
import { connect } from 'node:net'
import t from 'tap'
import { untilEnded, untilGone } from '../support/processes.js'
import { plainHead, program, shell } from '../support/programs.js'
import { requestBytes } from '../support/raw-http.js'
import { startTestServer } from '../support/serve.js'
import { eachSpawner } from '../support/spawners.js'

const scripts = {
  'gated.cgi': program('gated.sh'),
  'hang.cgi': program('hang.sh'),
  'deaf.cgi': program('deaf.sh'),
  'good.cgi': shell(plainHead, 'printf good'),
} as const

const timeouts = { headMs: 30_000, bodyMs: 30_000, keepAliveMs: 65_000, drainMs: 10_000 }

t.test(
  'F-8 a request in flight finishes; C-10 the next one is 503 and the connection closes',
  async t => {
    const server = await startTestServer(t, { scripts, config: { timeouts } })
    const busy = await server.connect()
    busy.request('/cgi-bin/gated.cgi?busy')
    await server.root.note('running-busy')
    const half = await server.connect()
    const bytes = requestBytes('/cgi-bin/good.cgi')
    half.send(bytes.subarray(0, 30))
    const idle = await server.connect()
    idle.request('/cgi-bin/good.cgi')
    t.equal((await idle.response()).text(), 'good')

    const closing = server.running.close()
    t.equal((await idle.rest()).bytes.length, 0, 'an idle connection is closed at once')
    await t.rejects(opened(server.port), { code: 'ECONNREFUSED' }, 'no new connections')

    half.send(bytes.subarray(30))
    const refused = await half.response()
    t.equal(refused.status, 503, 'C-10')
    t.equal(refused.header('connection'), 'close')
    t.match(refused.header('retry-after'), /^[1-9]\d*$/)
    await half.rest()

    server.root.leave('go')
    const finished = await busy.response()
    t.equal(finished.text(), 'busy\n')
    t.equal(finished.truncated, false)
    await busy.rest()
    await closing
  },
)

await eachSpawner(t, 'F-8 what does not finish is ended after the drain', async (t, spawner) => {
  const route = { timeouts: { firstByteMs: 0, idleMs: 0, totalMs: 0, graceMs: 200 } }
  const config = { timeouts: { ...timeouts, drainMs: 100 } }
  const server = await startTestServer(t, { scripts, spawner, route, config })
  const body = await server.connect()
  body.request('/cgi-bin/hang.cgi?1')
  const head = await server.connect()
  head.request('/cgi-bin/deaf.cgi?2')
  const pids: number[] = []
  for (const name of ['pid1', 'pid2']) pids.push(Number(await server.root.note(name)))
  const children = [
    Number(await server.root.note('child1')),
    Number(await server.root.note('child2')),
  ]

  const closing = server.running.close()
  const broken = await body.response()
  t.equal(broken.truncated, true, 'a body that was being sent breaks off')
  const refused = await head.response()
  t.equal(refused.status, 503, 'an answer that had not begun')
  await closing
  for (const pid of pids) await untilGone(pid, 1_000)
  for (const pid of children) await untilEnded(pid, 1_000)
})

t.test('who waits in line when the server closes gets 503', async t => {
  const route = { processes: 1, queue: { length: 4, waitMs: 60_000 } }
  const server = await startTestServer(t, { scripts, route, config: { timeouts } })
  const first = await server.connect()
  first.request('/cgi-bin/gated.cgi?first')
  await server.root.note('running-first')
  const second = await server.connect()
  second.request('/cgi-bin/gated.cgi?second')
  await server.request('/nothing-here')

  const closing = server.running.close()
  server.root.leave('go')
  t.equal((await first.response()).text(), 'first\n')
  const waited = await second.response()
  t.ok([200, 503].includes(waited.status), `served or refused, not dropped: ${waited.status}`)
  t.equal(waited.truncated, false)
  await closing
})

t.test('kill ends every program at once', async t => {
  const server = await startTestServer(t, { scripts, config: { timeouts } })
  const connection = await server.connect()
  connection.request('/cgi-bin/deaf.cgi')
  const pid = Number(await server.root.note('pid'))
  const child = Number(await server.root.note('child'))
  server.running.kill()
  await untilGone(pid, 1_000)
  await untilEnded(child, 1_000)
})

function opened(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.destroy()
      resolve()
    })
  })
}
