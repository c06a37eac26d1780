/** `processes: 2`: one address, deaths that heal, and an end in good order. */
import t from 'tap'
import { restartDelay } from '../../src/cli/cluster.js'
import { children, isAlive, untilEnded } from '../support/processes.js'
import { tempRoot } from '../support/temp-root.js'
import { waitFor, within } from '../support/wait-for.js'
import { type Command, get, postern, waitingScript } from './command.js'

const parent = '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n$PPID"\n'
const words = ['-p', '0', '--processes', '2']

/** The server processes that the banner names. */
async function pidsOf(command: Command): Promise<number[]> {
  const list = await command.printed(/2 server processes \((\d+, \d+)\)/)
  return list.split(', ').map(Number)
}

t.test('both answer on one port; the banner is printed once', async t => {
  const root = tempRoot(t, { 'parent.cgi': parent })
  const command = postern(t, root.path, words)
  const origin = await command.origin()
  const pids = await pidsOf(command)
  t.equal(pids.filter(pid => children(command.pid).includes(pid)).length, 2)
  const answered = new Set<number>()
  await waitFor('both have answered', async () => {
    answered.add(Number((await get(`${origin}/cgi-bin/parent.cgi`)).body))
    return answered.size === 2
  })
  t.same(answered, new Set(pids))
  await command.printed(/parent\.cgi +#!\/bin\/sh/)
  t.equal(command.stdout().match(/^Postern /gm)?.length, 1)
  command.signal('SIGTERM')
  t.match(await within('postern has ended', command.ended), { code: 0, signal: null })
  for (const pid of pids) t.notOk(isAlive(pid))
})

t.test('a process that is killed is replaced, the others go on', async t => {
  const root = tempRoot(t, { 'parent.cgi': parent })
  const command = postern(t, root.path, words)
  const origin = await command.origin()
  const [victim = 0, other = 0] = await pidsOf(command)
  process.kill(victim, 'SIGKILL')
  await command.logged(
    new RegExp(`^error a server process ended.*pid=${victim}.*signal=SIGKILL`, 'm'),
  )
  const heir = Number(await command.logged(/^info a new server process listens pid=(\d+)/m))
  t.ok(isAlive(other) && isAlive(heir))
  const answered = new Set<number>()
  await waitFor('the new one has answered, at the same address', async () => {
    answered.add(Number((await get(`${origin}/cgi-bin/parent.cgi`)).body))
    return answered.has(heir)
  })
})

t.test('F-8: Ctrl-C reaches every process of the terminal; running requests finish', async t => {
  const root = tempRoot(t)
  root.script('wait.cgi', waitingScript(root.notes))
  const command = postern(t, root.path, words)
  const answer = get(`${await command.origin()}/cgi-bin/wait.cgi`)
  const pids = await pidsOf(command)
  await root.note('started')
  for (const pid of pids) process.kill(pid, 'SIGINT')
  command.signal('SIGINT')
  await command.logged(/^info stopping when/m)
  root.leave('go')
  t.same(await answer, { status: 200, body: 'done' })
  t.equal((await within('postern has ended', command.ended)).code, 0)
})

t.test('a second signal ends all of it at once', async t => {
  const root = tempRoot(t)
  root.script('wait.cgi', waitingScript(root.notes))
  const command = postern(t, root.path, words)
  const answer = get(`${await command.origin()}/cgi-bin/wait.cgi`).catch(() => 'broken off')
  const pids = await pidsOf(command)
  const script = Number(await root.note('started'))
  command.signal('SIGTERM')
  await command.logged(/^info stopping/m)
  command.signal('SIGTERM')
  t.equal((await within('postern has ended', command.ended)).code, 143)
  for (const pid of [...pids, script]) await untilEnded(pid)
  await answer
})

t.test('when the first process is gone, the others finish and go', async t => {
  const root = tempRoot(t)
  root.script('wait.cgi', waitingScript(root.notes))
  const command = postern(t, root.path, words)
  const answer = get(`${await command.origin()}/cgi-bin/wait.cgi`)
  const pids = await pidsOf(command)
  await root.note('started')
  command.signal('SIGKILL')
  await waitFor('the first process is gone', () => !isAlive(command.pid))
  root.leave('go')
  t.same(await answer, { status: 200, body: 'done' })
  for (const pid of pids) await untilEnded(pid)
})

t.test('the delay before a replacement doubles while processes die quickly', async t => {
  t.equal(restartDelay(1000, 7), 0, 'a death after a second is no loop')
  t.same(
    [0, 1, 2, 3, 4, 5, 6, 60].map(deaths => restartDelay(999, deaths)),
    [100, 200, 400, 800, 1600, 3200, 5000, 5000],
  )
})
