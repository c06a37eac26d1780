/**
 * What programs write to stderr: never in the way of the answer, in the log line by line with the request
 * it belongs to, escaped and bounded (conventions F-1 to F-3).
 */
import t from 'tap'
import { defaultRouteLimits } from '../../src/server/config.js'
import { plainHead, shell } from '../support/programs.js'
import { type LogRecord, startTestServer, type TestServer } from '../support/serve.js'
import { eachSpawner } from '../support/spawners.js'
import { waitFor } from '../support/wait-for.js'

const MiB = 1024 * 1024

const scripts = {
  'flood.cgi': shell(`head -c ${4 * MiB} /dev/zero | tr '\\0' e >&2`, plainHead, 'echo done'),
  'lines.cgi': shell(
    'echo "first $QUERY_STRING" >&2',
    plainHead,
    'echo "$REQUEST_ID"',
    'echo "second $QUERY_STRING" >&2',
  ),
  'many.cgi': shell(
    'i=0; while [ $i -lt 3000 ]; do echo "line $i of very many lines that are written" >&2; i=$((i + 1)); done',
    plainHead,
    'echo done',
  ),
  'control.cgi': shell(`printf 'a\\033[31mred\\007\\rb\\000c\\n' >&2`, plainHead),
  'unended.cgi': shell('printf "no line end" >&2', plainHead),
  'dies.cgi': shell('echo "the reason" >&2', 'exit 1'),
  'both.cgi': shell(
    plainHead,
    'i=0; while [ $i -lt 200 ]; do echo out; echo err >&2; i=$((i + 1)); done',
  ),
} as const

/** Records that hold the text in any field or the message. */
function recordsWith(server: TestServer, text: string): LogRecord[] {
  return server.records.filter(record => JSON.stringify(record).includes(text))
}

await eachSpawner(t, 'F-1 megabytes of stderr before stdout', async (t, spawner) => {
  const server = await startTestServer(t, { scripts, spawner })
  const response = await server.request('/cgi-bin/flood.cgi')
  t.equal(response.status, 200)
  t.equal(response.text(), 'done\n')
  await server.accessFor('flood.cgi')
  const logged = JSON.stringify(server.records).length
  t.ok(logged < 256 * 1024, `F-2 of 4 MiB ${logged} bytes were logged`)
})

await eachSpawner(t, 'F-1 both streams by turns', async (t, spawner) => {
  const server = await startTestServer(t, { scripts, spawner })
  t.equal((await server.request('/cgi-bin/both.cgi')).text(), 'out\n'.repeat(200))
})

t.test('F-2 each line has the request id, the script and the pid', async t => {
  const server = await startTestServer(t, { scripts })
  const answers = await Promise.all(
    ['one', 'two', 'three'].map(async name => {
      const response = await server.request(`/cgi-bin/lines.cgi?${name}`)
      return { name, id: response.text().trim() }
    }),
  )
  for (const { name, id } of answers) {
    for (const line of [`first ${name}`, `second ${name}`]) {
      const record = await server.recordOf(line)
      t.equal(record.level, 'warn', line)
      t.match(JSON.stringify(record.fields), `"${id}"`, 'request id')
      t.match(JSON.stringify(record.fields), 'lines.cgi', 'script')
      t.type(record.fields.pid, 'number')
    }
  }
})

t.test('F-2 level error when the request failed', async t => {
  const server = await startTestServer(t, { scripts })
  t.equal((await server.request('/cgi-bin/dies.cgi')).status, 500)
  t.equal((await server.recordOf('the reason')).level, 'error')
})

t.test('F-2 bounded for each request, and the log says so', async t => {
  const limits = { ...defaultRouteLimits, stderrBytes: 1000 }
  const server = await startTestServer(t, { scripts, route: { limits } })
  t.equal((await server.request('/cgi-bin/many.cgi')).text(), 'done\n')
  await server.accessFor('many.cgi')
  await waitFor('the truncation is logged', () => recordsWith(server, 'truncated').length > 0)
  const lines = recordsWith(server, 'of very many lines').length
  t.ok(lines > 5 && lines < 30, `${lines} lines of 45 bytes fit in 1000`)
  t.equal(recordsWith(server, 'truncated').length, 1)
})

t.test('F-3 control bytes are escaped; an unended line counts', async t => {
  const server = await startTestServer(t, { scripts })
  await server.request('/cgi-bin/control.cgi')
  const record = await server.recordOf('[31mred')
  for (const value of [record.message, ...Object.values(record.fields)]) {
    for (const char of ['\x1b', '\x07', '\r', '\0']) {
      t.notOk(String(value).includes(char), `no ${JSON.stringify(char)} in the log`)
    }
  }
  await server.request('/cgi-bin/unended.cgi')
  await server.recordOf('no line end')
})
