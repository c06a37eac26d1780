/**
 * Failures before the headers are complete: one status, a page that tells strangers nothing, and a log
 * record that says why (conventions E-4, E-19, E-25, E-28, E-30).
 */
import t from 'tap'
import { defaultRouteLimits } from '../../src/server/config.js'
import { plainHead, printing, shell } from '../support/programs.js'
import { startTestServer } from '../support/serve.js'
import { eachSpawner } from '../support/spawners.js'

const plain = 'Content-Type: text/plain\n'
const KiB = 1024
const manyFields = Array.from({ length: 101 }, (_, i) => `X-${i}: 1\n`).join('')

const rows: readonly (readonly [row: string, prints: string, code: string])[] = [
  ['E-30 nothing at all', '', 'NO_OUTPUT'],
  ['E-30 headers without their end', 'Content-Type: text/plain\n', 'HEAD_INCOMPLETE'],
  ['E-30 half a line', 'Content-Ty', 'HEAD_INCOMPLETE'],
  ['E-4 letters', `Status: abc\n${plain}\n`, 'BAD_STATUS'],
  ['E-4 two digits', `Status: 99\n${plain}\n`, 'BAD_STATUS'],
  ['E-4 four digits', `Status: 1000\n${plain}\n`, 'BAD_STATUS'],
  ['E-25 no colon', 'hello\nworld\n\n', 'BAD_HEAD'],
  ['E-25 a page without headers', '<!doctype html>\n<p>hello</p>\n', 'BAD_HEAD'],
  ['E-25 bytes', '\x7fELF\0\0\0\n\n', 'BAD_HEAD'],
  [
    'E-28 a long head',
    `${plain}${`X-A: ${'a'.repeat(8 * KiB)}\n`.repeat(5)}\n`,
    'RESPONSE_HEAD_TOO_LARGE',
  ],
  ['E-28 a long line', `${plain}X-A: ${'a'.repeat(17 * KiB)}\n\n`, 'RESPONSE_HEAD_TOO_LARGE'],
  ['E-28 many fields', `${manyFields}\n`, 'RESPONSE_HEAD_TOO_LARGE'],
  [
    'E-19 its own chunks',
    `Transfer-Encoding: chunked\n${plain}\n2\r\nhi\r\n0\r\n\r\n`,
    'RESPONSE_TRANSFER_ENCODING',
  ],
]

t.test('E-30 one by one', async t => {
  const scripts = Object.fromEntries(rows.map(([, prints], i) => [`${i}.cgi`, printing(prints)]))
  const server = await startTestServer(t, { scripts })
  const connection = await server.connect()
  for (const [i, [row, , code]] of rows.entries()) {
    connection.request(`/cgi-bin/${i}.cgi`)
    const response = await connection.response()
    t.equal(response.status, 500, `${row}: 500`)
    t.equal(response.truncated, false, row)
    const record = await server.recordOf(code)
    t.equal(record.level, 'error', `${row}: logged`)
    t.match(JSON.stringify(record), `/${i}.cgi`, `${row}: with the script`)
    server.forget()
  }
})

await eachSpawner(t, 'E-28 megabytes of headers without end', async (t, spawner) => {
  const scripts = {
    'lines.cgi': shell('while :; do printf "X-A: %01000d\\n" 1; done'),
    'line.cgi': shell('exec cat /dev/zero'),
  }
  const server = await startTestServer(t, { scripts, spawner })
  for (const name of ['lines', 'line']) {
    t.equal((await server.request(`/cgi-bin/${name}.cgi`)).status, 500, name)
  }
})

t.test('E-30 crashes before the head', async t => {
  const scripts = {
    'exit.cgi': shell('echo secret-reason >&2', 'exit 7'),
    'signal.cgi': shell('printf "Content-Ty"', 'kill -SEGV $$'),
  }
  const server = await startTestServer(t, { scripts })
  const exit = await server.request('/cgi-bin/exit.cgi')
  t.equal(exit.status, 500)
  t.notMatch(exit.text(), /secret-reason|exit\.cgi/, 'strangers are told nothing')
  const access = JSON.stringify(await server.accessFor('exit.cgi'))
  t.match(access, /"[a-zA-Z]*":7\b/, 'the access line has the exit status')

  t.equal((await server.request('/cgi-bin/signal.cgi')).status, 500)
  t.match(JSON.stringify(await server.accessFor('signal.cgi')), /SIGSEGV/)
})

t.test('E-30 with dev a client on loopback sees the cause and stderr, escaped', async t => {
  const scripts = { 'a.cgi': shell('echo "why <b>&" >&2', 'exit 7') }
  const server = await startTestServer(t, { scripts, config: { dev: true } })
  const response = await server.request('/cgi-bin/a.cgi')
  t.equal(response.status, 500)
  t.match(response.text(), 'NO_OUTPUT')
  t.match(response.text(), 'why &lt;b&gt;&amp;')
})

t.test('E-19 decodeChunked', async t => {
  const head = `Transfer-Encoding: chunked\n${plain}\n`
  const scripts = {
    'good.cgi': printing(`${head}5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n`),
    'cut.cgi': printing(`${head}5\r\nhello\r\n`),
  }
  const server = await startTestServer(t, { scripts, route: { decodeChunked: true } })
  const good = await server.request('/cgi-bin/good.cgi')
  t.equal(good.text(), 'hello, world')
  t.equal(good.truncated, false)
  t.equal((await server.request('/cgi-bin/cut.cgi')).truncated, true, 'no last chunk')
})

t.test('E-25 plainOutput takes everything for the body', async t => {
  const scripts = { 'a.cgi': shell('echo Status: 404', 'echo', 'echo hello') }
  const server = await startTestServer(t, { scripts, route: { plainOutput: true } })
  const response = await server.request('/cgi-bin/a.cgi')
  t.equal(response.status, 200)
  t.equal(response.text(), 'Status: 404\n\nhello\n')
})

t.test('E-28 limits of the route, at the limit and one past it', async t => {
  const scripts = {
    'three.cgi': printing('X-A: 1\nX-B: 2\nX-C: 3\n\n'),
    'four.cgi': printing('X-A: 1\nX-B: 2\nX-C: 3\nX-D: 4\n\n'),
    'a.cgi': shell(plainHead),
  }
  const limits = { ...defaultRouteLimits, responseHeaderCount: 3 }
  const server = await startTestServer(t, { scripts, route: { limits } })
  t.equal((await server.request('/cgi-bin/three.cgi')).status, 200)
  t.equal((await server.request('/cgi-bin/four.cgi')).status, 500)
  t.match((await server.recordOf('RESPONSE_HEAD_TOO_LARGE')).message, /\S/)
})
