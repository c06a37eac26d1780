/**
 * Issue 4.1: warm CGI seen through the whole server. That nothing is left behind is looked at in every teardown.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { missing, peer } from '../support/peers.js'
import { children, commandOf, untilEnded } from '../support/processes.js'
import { program } from '../support/programs.js'
import { startTestServer } from '../support/serve.js'
import { spawnerNamed } from '../support/spawners.js'
import { tempRoot } from '../support/temp-root.js'
import { waitFor } from '../support/wait-for.js'

const scripts = { 'contract.py': program('warm/contract.py') }
const page = '/cgi-bin/contract.py/missing'

const forkServers = (parent = process.pid): number[] =>
  children(parent).filter(pid => commandOf(pid).includes('fork-server.py'))

async function isPossible(t: Test): Promise<boolean> {
  if (peer(t, 'python3', ['/usr/bin/python3']) === undefined) return false
  if ((await spawnerNamed('default')).warm !== undefined) return true
  missing(t, 'posix_spawn')
  return false
}

t.test('a fork server killed under load costs no request', async t => {
  if (!(await isPossible(t))) return
  const server = await startTestServer(t, { scripts, route: { warm: true } })
  t.equal((await server.request(page)).text(), 'gone')
  const [first = 0] = forkServers()
  const answers = await Promise.all(
    Array.from({ length: 60 }, async (_, i) => {
      if (i === 30) process.kill(first, 'SIGKILL')
      return await server.request(page)
    }),
  )
  for (const answer of answers) t.strictSame([answer.status, answer.text()], [404, 'gone'])
  t.equal((await server.request(page)).text(), 'gone')
  t.notOk(forkServers().includes(first))
  t.equal(forkServers().length, 1)
  t.strictSame(
    server.records.filter(({ level }) => level === 'error'),
    [],
  )
})

t.test('the facts of a request: CPU time and memory of its own process', async t => {
  if (!(await isPossible(t))) return
  const server = await startTestServer(t, { scripts, route: { warm: true } })
  await server.request(`${page}?facts`)
  const entry = await server.accessFor('?facts')
  t.match(entry, { status: 404, exitCode: 0, cpuUserMs: Number, maxRssKiB: Number })
})

t.test('Postern killed: its fork servers end by themselves', async t => {
  if (!(await isPossible(t))) return
  const root = tempRoot(t, scripts)
  const route = { path: '/cgi-bin/', target: root.cgi, program: false, warm: true }
  const file = fileURLToPath(new URL('../support/server-child.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import=tsx', file, JSON.stringify([route])], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const answer = await fetch(`${line.toString().trim()}${page}`)
  t.equal(answer.status, 404)
  const [pid = 0] = await waitFor('a fork server', () => {
    const found = forkServers(child.pid)
    return found.length > 0 && found
  })
  child.kill('SIGKILL')
  await once(child, 'exit')
  await untilEnded(pid)
})

t.test('without posix_spawn scripts run fresh, and one line says so', async t => {
  if (peer(t, 'python3', ['/usr/bin/python3']) === undefined) return
  const server = await startTestServer(t, { scripts, route: { warm: true }, spawner: 'node' })
  t.equal((await server.request(page)).text(), 'gone')
  t.strictSame(forkServers(), [])
  const told = server.records.filter(({ message }) => message.includes('warm mode'))
  t.match(told, [{ level: 'warn', fields: { route: '/cgi-bin/' } }])
})
