/**
 * WSGI workers over their life: they do not start, are stuck, are replaced, are told to end; large bodies.
 */
import { randomBytes } from 'node:crypto'
import { cpSync, readFileSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { defaultWsgiRoute } from '../../src/server/config.js'
import { isAlive, untilEnded } from '../support/processes.js'
import { pythonWith, wsgiPrograms } from '../support/python.js'
import { startTestServer, type TestServer } from '../support/serve.js'
import { tempRoot } from '../support/temp-root.js'
import { waitFor } from '../support/wait-for.js'
import { testWsgiRoute, type WsgiChanges } from '../support/wsgi-route.js'

const python = pythonWith(t) ?? ''
const skip = python === ''

function serve(t: Test, changes: WsgiChanges = {}, dev = false): Promise<TestServer> {
  return startTestServer(t, {
    routes: root => [
      testWsgiRoute('/py/', python, 'rows:application', {
        ...changes,
        env: { set: { NOTES: root.notes }, pass: [] },
      }),
    ],
    config: { dev },
  })
}

async function pidOf(server: TestServer): Promise<number> {
  return Number((await server.request('/py/pid')).text())
}

t.test('F-5 a stuck request: 504, the Python stack in the log, a new worker', { skip }, async t => {
  const timeouts = { ...defaultWsgiRoute.timeouts, firstByteMs: 500, graceMs: 300 }
  for (const threads of [1, 2]) {
    await t.test(`${threads} threads`, async t => {
      const server = await serve(t, { timeouts, threads })
      t.equal((await server.request('/py/stuck?q=1')).status, 504)
      const pid = Number(await server.root.note('stuck'))
      const dump = await server.recordOf('_wait_for_nothing')
      t.match(dump.fields, { pid, request: 'GET /py/stuck?q=1' })
      await untilEnded(pid)
      t.equal((await server.request('/py/one')).text(), '12345')
    })
  }
})

t.test(
  'I-15, I-16 an application that cannot be loaded fails the start, once',
  { skip },
  async t => {
    const root = tempRoot(t)
    const broken = 'import os\n\n\ndef half():\n    return os.nowhere\n\n\napplication = half()\n'
    writeFileSync(join(root.path, 'broken.py'), broken)
    for (const [application, said] of [
      ['broken:application', /broken\.py", line 5, in half\n.*\n.*\nAttributeError: module 'os'/],
      ['broken.more:application', /'os' has no attribute 'nowhere'/],
      ['nothing:application', /There is no nothing\.py or package nothing in the directory/],
    ] as const) {
      const start = startTestServer(t, {
        routes: () => [testWsgiRoute('/', python, application, { directory: root.path, count: 2 })],
      })
      await t.rejects(start, { message: said }, application)
      await t.rejects(start, { message: /exit status 4 before it was ready/ }, application)
    }
  },
)

t.test('an edit that breaks the application: the workers of before stay', { skip }, async t => {
  const root = tempRoot(t)
  cpSync(join(wsgiPrograms, 'rows.py'), join(root.path, 'rows.py'))
  const server = await serve(t, { directory: root.path })
  const pid = await pidOf(server)
  writeFileSync(join(root.path, 'rows.py'), 'def')
  await t.rejects(server.running.reload(), { message: /SyntaxError/ })
  t.equal(await pidOf(server), pid)
})

t.test('--dev: a file that changes replaces the workers', { skip }, async t => {
  const root = tempRoot(t)
  const file = join(root.path, 'app.py')
  const source = (answer: string): string =>
    `def app(environ, start_response):\n    start_response("200 OK", [])\n    return [b"${answer}"]\n`
  writeFileSync(file, source('before'))
  // libuv keeps its inotify descriptor: it is there before the server is looked at.
  watch(file).close()
  const server = await startTestServer(t, {
    routes: () => [testWsgiRoute('/', python, 'app:app', { directory: root.path })],
    config: { dev: true },
  })
  t.equal((await server.request('/')).text(), 'before')
  writeFileSync(file, source('behind it'))
  await waitFor('the new code answers', async () => {
    return (await server.request('/')).text() === 'behind it'
  })
})

t.test('reloads under load lose no request', { skip }, async t => {
  for (const threads of [1, 2]) {
    await t.test(`${threads} threads`, async t => {
      const server = await serve(t, { count: 2, threads })
      const before = await pidOf(server)
      const statuses = new Map<number, number>()
      let going = true
      const load = [1, 2, 3, 4].map(async () => {
        while (going) {
          const { status } = await server.request('/py/one')
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
        }
      })
      await server.running.reload()
      await server.running.reload()
      going = false
      await Promise.all(load)
      t.strictSame([...statuses.keys()], [200])
      await waitFor('the former one is gone', () => !isAlive(before))
      const ended = server.records.filter(({ message }) => message === 'a worker was ended')
      t.ok(ended.length >= 2)
      for (const { fields } of ended) t.match(fields.end, /exit status 0/, 'G-55 TERM while idle')
    })
  }
})

t.test('G-55 TERM while a request runs: it is finished', { skip }, async t => {
  for (const threads of [1, 2]) {
    await t.test(`${threads} threads`, async t => {
      const server = await startTestServer(t, {
        routes: root => [
          testWsgiRoute('/py/', python, 'behaviours:application', {
            threads,
            env: { set: { NOTES: root.notes }, pass: [] },
          }),
        ],
      })
      const facts = (await server.request('/py/environment')).text()
      t.match(facts, 'SCRIPT_NAME=/py')
      const connection = await server.connect()
      connection.request('/py/drip')
      const pid = Number(
        server.records.find(({ message }) => message === 'a worker is ready')?.fields.pid,
      )
      let seen = ''
      const response = await connection.response({
        onData: chunk => {
          seen += chunk.toString()
          if (seen !== 'one') return
          process.kill(pid, 'SIGTERM')
          server.root.leave('go')
        },
      })
      t.equal(response.truncated, false)
      t.equal(seen, 'onetwo')
      await untilEnded(pid)
      t.match(await server.recordOf('a worker ended; another takes its place'), {
        fields: { pid, end: /exit status 0/ },
      })
    })
  }
})

t.test('20 MB up and down', { skip }, async t => {
  const server = await serve(t, { threads: 2 })
  const body = randomBytes(20 * 1024 * 1024)
  const up = await server.request('/py/sum', { method: 'POST', body })
  t.match(JSON.parse(up.text()), { total: body.length })
  writeFileSync(join(server.root.notes, 'file'), body)
  const down = await server.request('/py/file')
  t.equal(down.body.equals(body), true)
})

t.test('a large answer to a slow client does not grow the worker', { skip }, async t => {
  const server = await serve(t)
  writeFileSync(join(server.root.notes, 'file'), Buffer.alloc(64 * 1024 * 1024))
  const pid = await pidOf(server)
  const memory = (): number =>
    Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1])
  const before = memory()
  const connection = await server.connect()
  connection.request('/py/file')
  const response = await connection.response()
  t.equal(response.body.length, 64 * 1024 * 1024)
  t.ok(memory() - before < 16 * 1024, `${memory() - before} KiB more`)
})
