/**
 * The client goes away, at each stage of a request: the whole process group is gone soon after, and
 * nothing is started for nobody (conventions D-5, F-5, F-7).
 */
import { existsSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Spawner } from '../../src/process/spawner.js'
import { openDescriptors, untilEnded, untilGone } from '../support/processes.js'
import { plainHead, program, shell } from '../support/programs.js'
import { chunkBytes } from '../support/raw-http.js'
import { startTestServer, type TestServer } from '../support/serve.js'
import { eachSpawner, spawnerNamed } from '../support/spawners.js'
import { waitFor } from '../support/wait-for.js'

const scripts = {
  'hang.cgi': program('hang.sh'),
  'deaf.cgi': program('deaf.sh'),
  'gated.cgi': program('gated.sh'),
  'read.cgi': shell(
    'echo $$ >"$NOTES/pid"',
    'wc -c >"$NOTES/count"',
    'echo >"$NOTES/end"',
    plainHead,
  ),
  'started.cgi': shell('echo yes >"$NOTES/started"', plainHead, 'cat'),
} as const

const timeouts = { firstByteMs: 60_000, idleMs: 60_000, totalMs: 0, graceMs: 500 }

async function groupIsGone(server: TestServer): Promise<void> {
  await untilGone(Number(await server.root.note('pid')))
  // The grandchild is reaped by init when its parent is dead: a zombie for a moment.
  await untilEnded(Number(await server.root.note('child')))
}

const ways = ['destroy', 'reset'] as const
for (const way of ways) {
  await eachSpawner(t, `F-5 in the middle of the body, by ${way}`, async (t, spawner) => {
    const server = await startTestServer(t, { scripts, spawner, route: { timeouts } })
    const connection = await server.connect()
    connection.request('/cgi-bin/hang.cgi')
    let seen = ''
    await connection
      .response({
        onData: chunk => {
          seen += chunk.toString()
          connection[way]()
        },
      })
      .catch(() => {})
    t.equal(seen, 'started\n')
    await groupIsGone(server)
    t.match(await server.accessFor('hang.cgi'), { status: 200, error: 'CLIENT_LEFT' })
  })
}

await eachSpawner(
  t,
  'F-5 before the head, from a program that ignores TERM',
  async (t, spawner) => {
    const server = await startTestServer(t, { scripts, spawner, route: { timeouts } })
    const connection = await server.connect()
    connection.request('/cgi-bin/deaf.cgi')
    await server.root.note('pid')
    connection.destroy()
    await groupIsGone(server)
    const access = await server.accessFor('deaf.cgi')
    t.match(access, { status: 499, error: 'CLIENT_LEFT' }, '499 exists in the log only')
    t.match(JSON.stringify(access), 'SIGKILL')
  },
)

t.test('D-5 while sending a body with a length', async t => {
  const server = await startTestServer(t, { scripts, route: { timeouts } })
  const connection = await server.connect()
  connection.send('POST /cgi-bin/read.cgi HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello')
  const pid = Number(await server.root.note('pid'))
  connection.destroy()
  await untilGone(pid)
  t.equal(existsSync(join(server.root.notes, 'end')), false, 'it was ended before it went on')
})

await eachSpawner(t, 'D-5 while the program is being started', async (t, name) => {
  const real = await spawnerNamed(name)
  let leave = (): void => {}
  const left = new Promise<void>(resolve => {
    leave = resolve
  })
  let asked = false
  const slow: Spawner = {
    name: 'slow',
    spawn: async spec => {
      asked = true
      await left
      return await real.spawn(spec)
    },
  }
  const server = await startTestServer(t, { scripts, spawner: slow, route: { timeouts } })
  const quiet = openDescriptors().size
  const connection = await server.connect()
  connection.send('POST /cgi-bin/read.cgi HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello')
  await waitFor('the start is asked for', () => asked)
  connection.destroy()
  await waitFor('the server has seen it go', () => openDescriptors().size <= quiet)
  leave()
  await server.accessFor('read.cgi')
  t.equal(existsSync(join(server.root.notes, 'end')), false)
})

t.test('D-5 while sending chunks: nothing is started, the temporary file is gone', async t => {
  const own = temporaryFolder(t)
  const server = await startTestServer(t, { scripts })
  const connection = await server.connect()
  connection.send(
    'POST /cgi-bin/started.cgi HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
  )
  for (let i = 0; i < 32; i++) connection.send(chunkBytes(Buffer.alloc(64 * 1024)))
  await connection.drained()
  connection.destroy()
  await server.accessFor('"status":499')
  t.equal(existsSync(join(server.root.notes, 'started')), false)
  t.strictSame(spoolFiles(own), [])
})

t.test('while waiting for a place: never started, and the place in line is free', async t => {
  const route = { processes: 1, queue: { length: 1, waitMs: 10_000 } }
  const server = await startTestServer(t, { scripts, route })
  const first = await server.connect()
  first.request('/cgi-bin/gated.cgi?first')
  await server.root.note('running-first')

  const second = await server.connect()
  second.request('/cgi-bin/gated.cgi?second')
  // The line is full once a third is turned away; it is asked again for as long as it is not.
  const turnedAway = await server.request('/cgi-bin/gated.cgi?third')
  t.equal(turnedAway.status, 503)
  second.destroy()
  await server.accessFor('"status":499')

  const fourth = await server.connect()
  fourth.request('/cgi-bin/gated.cgi?fourth')
  server.root.leave('go')
  t.equal((await first.response()).text(), 'first\n')
  t.equal((await fourth.response()).text(), 'fourth\n')
  t.equal(existsSync(join(server.root.notes, 'running-second')), false)
})

t.test('a second request on a kept connection, then leaving', async t => {
  const server = await startTestServer(t, { scripts, route: { timeouts } })
  const connection = await server.connect()
  connection.request('/cgi-bin/hang.cgi?1', { method: 'HEAD' })
  t.equal((await connection.response({ head: true })).status, 200)
  connection.request('/cgi-bin/hang.cgi?2')
  const pid = Number(await server.root.note('pid2'))
  connection.destroy()
  await untilGone(pid)
  await untilGone(Number(await server.root.note('pid1')))
})

/** A temporary folder of this test's own, which the server takes for the system's. */
function temporaryFolder(t: Test): string {
  const before = process.env.TMPDIR
  const own = t.testdir()
  process.env.TMPDIR = own
  t.teardown(() => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  })
  t.equal(tmpdir(), own)
  return own
}

/** What is in the temporary folder beside the folder of the test and the pipes of the spawner. */
function spoolFiles(folder: string): string[] {
  return readdirSync(folder).filter(name => !/^postern-(test|pipes)-/.test(name))
}
