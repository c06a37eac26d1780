/**
 * Limits of time on programs and clients: the answer comes at once, the end of the program is TERM, then
 * KILL to the whole group (conventions F-4 to F-7).
 */
import t from 'tap'
import { isAlive, untilEnded, untilGone } from '../support/processes.js'
import { plainHead, program, shell } from '../support/programs.js'
import { startTestServer, type TestServer } from '../support/serve.js'
import { eachSpawner } from '../support/spawners.js'

const scripts = {
  'deaf.cgi': program('deaf.sh'),
  'hang.cgi': program('hang.sh'),
  'polite.cgi': shell(
    'trap \'echo term >"$NOTES/term"; exit 0\' TERM',
    'echo $$ >"$NOTES/pid"',
    'while :; do sleep 0.02; done',
  ),
  'drip.cgi': shell(plainHead, 'while :; do echo drip; sleep 0.05; done'),
  'read.cgi': shell('count=$(wc -c)', plainHead, 'echo "$count"'),
  'good.cgi': shell(plainHead, 'printf good'),
} as const

const none = { firstByteMs: 0, idleMs: 0, totalMs: 0, graceMs: 3_000 }

async function ends(server: TestServer): Promise<void> {
  await untilGone(Number(await server.root.note('pid')))
  await untilEnded(Number(await server.root.note('child')))
}

await eachSpawner(t, 'F-4 firstByte: 504 at once, KILL after the grace', async (t, spawner) => {
  const timeouts = { ...none, firstByteMs: 150, graceMs: 1_500 }
  const server = await startTestServer(t, { scripts, spawner, route: { timeouts } })
  const connection = await server.connect()
  connection.request('/cgi-bin/deaf.cgi')
  const response = await connection.response()
  t.equal(response.status, 504)
  t.equal(isAlive(Number(await server.root.note('pid'))), true, 'F-6 not after the grace')
  connection.request('/cgi-bin/good.cgi')
  t.equal((await connection.response()).text(), 'good', 'the connection stays sane')
  await ends(server)
  t.match(JSON.stringify(await server.accessFor('deaf.cgi')), 'SIGKILL', 'F-9')
  await server.recordOf('FIRST_BYTE_TIMEOUT')
})

t.test('F-5 TERM comes first, and a program may tidy up', async t => {
  const timeouts = { ...none, firstByteMs: 150 }
  const server = await startTestServer(t, { scripts, route: { timeouts } })
  t.equal((await server.request('/cgi-bin/polite.cgi')).status, 504)
  t.equal(await server.root.note('term'), 'term')
  await untilGone(Number(await server.root.note('pid')))
})

await eachSpawner(t, 'F-4 idle: after the head, the body breaks off', async (t, spawner) => {
  const timeouts = { ...none, idleMs: 150, graceMs: 300 }
  const server = await startTestServer(t, { scripts, spawner, route: { timeouts } })
  const response = await server.request('/cgi-bin/hang.cgi')
  t.equal(response.status, 200)
  t.equal(response.text(), 'started\n')
  t.equal(response.truncated, true)
  await ends(server)
  await server.recordOf('IDLE_TIMEOUT')
})

t.test('F-4 total: however busy the program is', async t => {
  const timeouts = { ...none, firstByteMs: 5_000, idleMs: 5_000, totalMs: 400, graceMs: 300 }
  const server = await startTestServer(t, { scripts, route: { timeouts } })
  const busy = await server.request('/cgi-bin/drip.cgi')
  t.equal(busy.truncated, true)
  t.match(busy.text(), /^drip\n/)
  await server.recordOf('TOTAL_TIMEOUT')
  t.equal((await server.request('/cgi-bin/deaf.cgi')).status, 504, 'and before the head')
  await ends(server)
})

t.test('F-4 a body on its way is not the program’s delay', async t => {
  const timeouts = { ...none, firstByteMs: 300, idleMs: 2_000 }
  const server = await startTestServer(t, { scripts, route: { timeouts } })
  const connection = await server.connect()
  connection.send('POST /cgi-bin/read.cgi HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n')
  for (const byte of 'hello') {
    await server.request('/cgi-bin/good.cgi')
    connection.send(byte)
  }
  t.equal((await connection.response()).text(), '5\n')
})

t.test('408 a client that stops in its body', async t => {
  const config = { timeouts: { headMs: 30_000, bodyMs: 200, keepAliveMs: 5_000, drainMs: 1_000 } }
  const server = await startTestServer(t, { scripts, config })
  for (const framing of [
    'Content-Length: 5\r\n\r\nhel',
    'Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n',
  ]) {
    const connection = await server.connect()
    connection.send(`POST /cgi-bin/read.cgi HTTP/1.1\r\nHost: a\r\n${framing}`)
    const response = await connection.response()
    t.equal(response.status, 408, framing)
  }
})

t.test('408 a client that stops in its head', async t => {
  const config = { timeouts: { headMs: 300, bodyMs: 30_000, keepAliveMs: 5_000, drainMs: 1_000 } }
  const server = await startTestServer(t, { scripts, config })
  const connection = await server.connect()
  connection.send('GET /cgi-bin/good.cgi HTTP/1.1\r\nHost: a\r\nX-Slow')
  t.equal((await connection.response()).status, 408)
  await connection.rest()
  t.pass('closed')
})

t.test('an idle kept connection is closed after keepAlive', async t => {
  const config = { timeouts: { headMs: 30_000, bodyMs: 30_000, keepAliveMs: 200, drainMs: 1_000 } }
  const server = await startTestServer(t, { scripts, config })
  const connection = await server.connect()
  connection.request('/cgi-bin/good.cgi')
  t.equal((await connection.response()).text(), 'good')
  t.equal((await connection.rest()).bytes.length, 0, 'closed without a word')
})
