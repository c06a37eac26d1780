/**
 * Lengths that are wrong, answers without a body, and bodies that break off: what the client sees, and
 * whether the connection can be used again (conventions E-17 to E-22, E-31 to E-33).
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { untilEnded, untilGone } from '../support/processes.js'
import { plainHead, printing, program, shell } from '../support/programs.js'
import type { RawConnection } from '../support/raw-http.js'
import { startTestServer } from '../support/serve.js'
import { eachSpawner } from '../support/spawners.js'

const plain = 'Content-Type: text/plain\n'

/** The next request on the same connection gets its own answer. */
async function isSane(
  t: { equal: (a: unknown, b: unknown, what: string) => unknown },
  connection: RawConnection,
  row: string,
): Promise<void> {
  connection.request('/cgi-bin/good.cgi')
  t.equal((await connection.response()).text(), 'good', `${row}: the connection stays sane`)
}

const good = printing(`${plain}\ngood`)

t.test('E-17 more than was declared is cut', async t => {
  const scripts = {
    'good.cgi': good,
    'long.cgi': printing(`${plain}Content-Length: 10\n\n01234567890123456789`),
    'none.cgi': printing(`${plain}Content-Length: 0\n\n01234567890123456789`),
  }
  const server = await startTestServer(t, { scripts })
  const connection = await server.connect()
  for (const [name, body] of [
    ['long', '0123456789'],
    ['none', ''],
  ] as const) {
    connection.request(`/cgi-bin/${name}.cgi`)
    const response = await connection.response()
    t.equal(response.status, 200)
    t.equal(response.text(), body, name)
    await isSane(t, connection, `E-17 ${name}`)
  }
  t.equal((await server.recordOf('long.cgi')).level, 'warn', 'and the log says so')
})

t.test('E-18 less than was declared is a visible truncation', async t => {
  const scripts = { 'short.cgi': printing(`${plain}Content-Length: 20\n\n0123456789`) }
  const server = await startTestServer(t, { scripts })
  const response = await server.request('/cgi-bin/short.cgi')
  t.equal(response.truncated, true)
  t.ok('0123456789'.startsWith(response.text()))
  await server.recordOf('TRUNCATED')
})

t.test('E-31 a crash in the middle of the body is a visible truncation', async t => {
  const crash = (signal: string) =>
    shell(
      plainHead,
      'printf 0123456789',
      'until [ -e "$NOTES/go" ]; do sleep 0.02; done',
      `kill -${signal} $$`,
    )
  const scripts = { 'killed.cgi': crash('KILL'), 'segv.cgi': crash('SEGV') }
  const server = await startTestServer(t, { scripts })
  for (const [name, signal] of [
    ['killed', 'SIGKILL'],
    ['segv', 'SIGSEGV'],
  ] as const) {
    const onData = (): void => server.root.leave('go')
    const response = await server.request(`/cgi-bin/${name}.cgi`, {}, { onData })
    t.equal(response.status, 200, 'the head was sent before')
    t.equal(response.truncated, true, name)
    const access = await server.accessFor(`${name}.cgi`)
    t.match(JSON.stringify(access), signal, 'the access line has the signal')
    t.match(access, { error: 'TRUNCATED' })
    rmSync(join(server.root.notes, 'go'))
  }
})

t.test('E-31 a crash right behind the first bytes is never silence', async t => {
  const scripts = { 'a.cgi': shell(plainHead, 'printf 0123456789', 'kill -SEGV $$') }
  const server = await startTestServer(t, { scripts })
  for (let i = 0; i < 20; i++) {
    const { status, truncated } = await server.request('/cgi-bin/a.cgi')
    const visible = status >= 500 ? !truncated : truncated
    t.ok(visible, `${status}${truncated ? ', broken off' : ''}`)
  }
})

t.test('E-32 an exit status after a complete answer is a warning', async t => {
  const scripts = {
    'a.cgi': shell(`printf 'Content-Type: text/plain\\nContent-Length: 2\\n\\nhi'`, 'exit 3'),
  }
  const server = await startTestServer(t, { scripts })
  const response = await server.request('/cgi-bin/a.cgi')
  t.equal(response.text(), 'hi')
  t.equal(response.truncated, false)
  t.equal((await server.recordOf('"code":3')).level, 'warn')
})

t.test('E-21 HEAD: the head of GET, and no body', async t => {
  const scripts = {
    'good.cgi': good,
    'length.cgi': printing(`${plain}Content-Length: 4\nX-A: 1\n\nbody`),
    'plain.cgi': printing(`${plain}X-A: 1\n\nbody`),
    'endless.cgi': program('hang.sh'),
  }
  const server = await startTestServer(t, { scripts })
  const connection = await server.connect()
  for (const [name, length] of [
    ['length', '4'],
    ['plain', undefined],
  ] as const) {
    connection.request(`/cgi-bin/${name}.cgi`, { method: 'HEAD' })
    const response = await connection.response({ head: true })
    t.equal(response.status, 200)
    t.equal(response.header('x-a'), '1')
    t.equal(response.header('content-length'), length, `${name}: Content-Length`)
    await isSane(t, connection, `E-21 ${name}`)
  }
  const endless = await server.request('/cgi-bin/endless.cgi', { method: 'HEAD' })
  t.equal(endless.status, 200, 'answered while the program goes on')
  await untilGone(Number(await server.root.note('pid')), 8_000)
})

t.test('E-22 204 and 304 have no body', async t => {
  const scripts = {
    'good.cgi': good,
    '204.cgi': printing(`Status: 204\nX-A: 1\n\nbody`),
    '304.cgi': printing(`Status: 304\nETag: "a"\nContent-Length: 4\n\nbody`),
  }
  const server = await startTestServer(t, { scripts })
  const connection = await server.connect()
  for (const status of [204, 304]) {
    connection.request(`/cgi-bin/${status}.cgi`)
    const response = await connection.response()
    t.equal(response.status, status)
    t.equal(response.header('transfer-encoding'), undefined)
    await isSane(t, connection, `E-22 ${status}`)
  }
})

await eachSpawner(t, 'E-33 a grandchild that keeps stdout open', async (t, spawner) => {
  const scripts = {
    'good.cgi': good,
    'a.cgi': shell('sleep 600 &', 'echo $! >"$NOTES/child"', plainHead, 'printf done', 'exit 0'),
  }
  const server = await startTestServer(t, { scripts, spawner })
  const connection = await server.connect()
  connection.request('/cgi-bin/a.cgi')
  const response = await connection.response({}, 3_000)
  t.equal(response.text(), 'done')
  t.equal(response.truncated, false)
  await isSane(t, connection, 'E-33')
  const child = Number(await server.root.note('child'))
  t.teardown(async () => {
    // The row ends the answer, not the daemon: it is the test's to end, where it still runs.
    try {
      process.kill(child, 'SIGKILL')
    } catch {}
    await untilEnded(child)
  })
})

t.test('HTTP/1.0 clients get no chunks; the connection ends', async t => {
  const scripts = { 'drip.cgi': shell(plainHead, 'printf one', 'sleep 0.1', 'printf two') }
  const server = await startTestServer(t, { scripts })
  const connection = await server.connect()
  connection.send('GET /cgi-bin/drip.cgi HTTP/1.0\r\n\r\n')
  const response = await connection.response()
  t.equal(response.framing, 'close')
  t.equal(response.text(), 'onetwo')
  t.equal(response.truncated, false)
})
