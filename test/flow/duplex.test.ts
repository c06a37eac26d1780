/**
 * Both directions at once, with back-pressure in each: what fcgiwrap and mod_cgi deadlock on (conventions
 * D-7, D-8, E-34).
 */
import t from 'tap'
import { bytesWritten } from '../support/processes.js'
import { plainHead, program, shell } from '../support/programs.js'
import { startTestServer } from '../support/serve.js'
import { eachSpawner } from '../support/spawners.js'
import { settled } from '../support/wait-for.js'

const MiB = 1024 * 1024
const size = 10 * MiB

const scripts = {
  'write-first.cgi': shell(plainHead, `head -c ${size} /dev/zero`, 'wc -c'),
  'echo.cgi': program('echo.sh'),
  'slow.cgi': shell('until [ -e "$NOTES/go" ]; do sleep 0.02; done', plainHead, 'wc -c'),
  'drip.cgi': shell(
    plainHead,
    'printf one',
    'until [ -e "$NOTES/go" ]; do sleep 0.02; done',
    'printf two',
  ),
  'pour.cgi': shell('echo $$ >"$NOTES/pid"', plainHead, `exec head -c ${64 * MiB} /dev/zero`),
} as const

await eachSpawner(t, 'D-7 10 MiB each way, written before read', async (t, spawner) => {
  const server = await startTestServer(t, { scripts, spawner })
  const connection = await server.connect()
  connection.request('/cgi-bin/write-first.cgi', { method: 'POST', body: Buffer.alloc(size) })
  const response = await connection.response()
  t.equal(response.body.length, size + `${size}\n`.length)
  t.equal(response.body.subarray(size).toString(), `${size}\n`, 'the program read it all')
})

await eachSpawner(t, 'D-7 10 MiB through cat, streaming', async (t, spawner) => {
  const route = { requestBody: 'stream' } as const
  const server = await startTestServer(t, { scripts, route, spawner })
  const body = Buffer.alloc(size, 'abcdefg')
  const response = await server.request('/cgi-bin/echo.cgi', { method: 'POST', body })
  t.equal(response.body.equals(body), true)
})

await eachSpawner(
  t,
  'D-8 a program that does not read holds the client back',
  async (t, spawner) => {
    const server = await startTestServer(t, { scripts, spawner })
    const connection = await server.connect()
    const body = Buffer.alloc(64 * MiB)
    connection.request('/cgi-bin/slow.cgi', { method: 'POST', body })
    // Whatever the pipe, the server and two socket buffers hold, it is far from all of it.
    const unsent = await settled('what is left to send', () => connection.unsent)
    t.ok(unsent > 40 * MiB, `${unsent} bytes have not left the client`)
    server.root.leave('go')
    t.equal((await connection.response({}, 30_000)).text(), `${body.length}\n`)
  },
)

await eachSpawner(t, 'E-34 what is printed is sent at once', async (t, spawner) => {
  const server = await startTestServer(t, { scripts, spawner })
  const connection = await server.connect()
  connection.request('/cgi-bin/drip.cgi')
  let seen = ''
  const response = connection.response({
    onData: chunk => {
      seen += chunk.toString()
      if (seen === 'one') server.root.leave('go')
    },
  })
  await response
  t.equal(seen, 'onetwo', 'the second part waited for the first to arrive')
})

await eachSpawner(t, 'a client that does not read holds the program back', async (t, spawner) => {
  const server = await startTestServer(t, { scripts, spawner })
  const connection = await server.connect()
  connection.request('/cgi-bin/pour.cgi')
  const pid = Number(await server.root.note('pid'))
  const written = await settled('what it has written', () => bytesWritten(pid))
  t.ok(written > 0 && written < 40 * MiB, `${written} bytes were taken while nobody reads`)
  let count = 0
  const response = await connection.response({
    onData: chunk => {
      count += chunk.length
    },
  })
  t.equal(count, 64 * MiB)
  t.equal(response.truncated, false)
})
