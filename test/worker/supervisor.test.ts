// The supervisor with real processes: how they start, end, fail, and are replaced.

import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { WorkersFailed } from '../../src/worker/supervisor.js'
import { enterUpstreams } from '../support/enter.js'
import { openDescriptors, untilEnded, untilGone } from '../support/processes.js'
import { tempRoot } from '../support/temp-root.js'
import { waitFor, within } from '../support/wait-for.js'
import { lineWorkers, say } from './line-workers.js'

const forever = new AbortController().signal

const isSocket = (what: string): boolean => what.startsWith('socket:')
const sockets = (): number => [...openDescriptors().values()].filter(isSocket).length

t.test(
  'start: count.min workers, each on a private socket of its own; close leaves nothing',
  async t => {
    // The first start opens what the process keeps.
    const warm = await lineWorkers(t)
    await warm.supervisor.start()
    await warm.supervisor.close()
    const before = openDescriptors()

    const { supervisor, upstreams, pids, lines } = await lineWorkers(t, {
      directory: tmpdir(),
      env: ['A=1', 'PATH=/bin', 'B=\xc3\xa9'],
    })
    await supervisor.start()
    t.equal(pids().length, 2)
    t.equal(upstreams.members.length, 2)
    const paths = upstreams.members.map(({ address }) =>
      address.kind === 'unix' ? address.path : '',
    )
    const folder = dirname(paths[0] ?? '')
    t.not(paths[0], paths[1])
    t.equal(dirname(folder), tmpdir())
    t.equal(statSync(folder).mode & 0o777, 0o700, 'the folder is private')
    for (const path of paths) t.equal(statSync(path).mode & 0o777, 0o600, 'so is the socket')
    for (const { address } of upstreams.members) {
      t.ok(pids().includes(Number(await say(address, 'hello'))))
      t.same(JSON.parse(await say(address, 'env')), { A: '1', PATH: '/bin', B: 'é' }, 'env exactly')
    }
    t.ok(
      lines.some(({ level, message }) => level === 'info' && message.startsWith('listening in ')),
      'its stdout is in the log',
    )
    await waitFor(
      'only the workers hold the listening sockets',
      () => sockets() === [...before.values()].filter(isSocket).length,
    )
    const all = pids()
    await supervisor.close()
    for (const each of all) await untilGone(each)
    t.notOk(existsSync(folder), 'sockets and folder are removed')
    t.equal(upstreams.members.length, 0)
    t.same(supervisor.workers, [])
    await waitFor('descriptors are back', () => openDescriptors().size <= before.size)
  },
)

t.test('start: a command that fails is told with its exit status and stderr', async t => {
  const { supervisor } = await lineWorkers(t, { words: ['fail'] })
  const folders = (): string[] => readdirSync(tmpdir()).filter(name => /^postern-\w{6}$/.test(name))
  const before = folders()
  const error = await supervisor.start().then(
    () => undefined,
    (reason: unknown) => reason,
  )
  t.ok(error instanceof WorkersFailed)
  t.match(
    String(error),
    /^WorkersFailed: the worker \S+ \S+worker-line\.mjs fail did not start: it ended with exit status 3 before it was ready; the end of its stderr:\nreading the settings\nno data base at/,
  )
  t.same(supervisor.workers, [])
  t.same(folders(), before, 'its folder is removed')
})

t.test('start: a worker that never becomes ready is ended after readyMs', async t => {
  const { supervisor } = await lineWorkers(t, { words: ['mute'], readyMs: 300 })
  const failed = supervisor.start()
  await waitFor('they run', () => supervisor.workers.every(({ pid }) => pid !== undefined))
  const pids = supervisor.workers.map(({ pid }) => pid ?? 0)
  await t.rejects(within('start has failed', failed), {
    message: /it was not ready within 300 ms$/,
  })
  for (const pid of pids) await untilGone(pid)
})

t.test('start: a program that cannot be executed is told with the cause', async t => {
  const { supervisor } = await lineWorkers(t, { command: ['/no/such/program'] })
  await t.rejects(supervisor.start(), {
    message: /did not start: cannot start \/no\/such\/program: ENOENT$/,
    cause: { code: 'ENOENT' },
  })
})

t.test('G-24: exit status 0 is on purpose, another is a crash with a delay', async t => {
  const { supervisor, pids, settled, upstreamOf, logged } = await lineWorkers(t)
  await supervisor.start()
  const [first = 0, second = 0] = pids()
  await say(upstreamOf(first).address, 'exit 0').catch(() => {})
  const onPurpose = await logged(/^a worker ended; another takes its place/)
  t.match(onPurpose, { level: 'info', fields: { pid: first, end: 'it ended with exit status 0' } })
  await untilGone(first)
  t.ok((await settled(2)).includes(second), 'the other stays')
  await say(upstreamOf(second).address, 'exit 7').catch(() => {})
  const crash = await logged(/^a worker failed/)
  t.match(crash, {
    level: 'error',
    fields: { pid: second, end: 'it ended with exit status 7', delayMs: 100 },
  })
  const after = await settled(2)
  t.notOk(after.includes(first) || after.includes(second))
})

t.test('kill -9: the upstream leaves at once, another comes, its socket is removed', async t => {
  const { supervisor, upstreams, pids, settled, upstreamOf } = await lineWorkers(t)
  await supervisor.start()
  const [victim = 0, other = 0] = pids()
  const { address } = upstreamOf(victim)
  process.kill(victim, 'SIGKILL')
  await untilGone(victim)
  await waitFor('it left', () => upstreams.members.every(each => each.address !== address))
  t.ok((await settled(2)).includes(other))
  t.notOk(address.kind === 'unix' && existsSync(address.path))
})

t.test('what a worker started ends with it', async t => {
  const { supervisor, pids, logged } = await lineWorkers(t, {
    words: ['child'],
    count: { min: 1, max: 1, spare: 0, idleMs: 1_000 },
  })
  await supervisor.start()
  const child = Number((await logged(/^child \d+$/)).message.slice('child '.length))
  process.kill(pids()[0] ?? 0, 'SIGKILL')
  await untilEnded(child)
})

t.test('close: a worker that ignores TERM is killed after the grace', async t => {
  const { supervisor, pids, logged } = await lineWorkers(t, { words: ['deaf'], graceMs: 200 })
  await supervisor.start()
  const all = pids()
  const closed = supervisor.close()
  await logged(/^TERM\? no$/)
  await within('closed', closed)
  for (const pid of all) await untilGone(pid)
})

t.test('kill: all are gone, sockets at once', async t => {
  const { supervisor, upstreams, pids } = await lineWorkers(t, { words: ['deaf'], graceMs: 60_000 })
  await supervisor.start()
  const all = pids()
  const [{ address } = { address: undefined }] = upstreams.members
  supervisor.kill()
  t.notOk(address?.kind === 'unix' && existsSync(dirname(address.path)))
  for (const pid of all) await untilGone(pid)
  await within('close after kill', supervisor.close())
})

t.test('close waits for requests, at most for the grace', async t => {
  const { supervisor, upstreams, pids } = await lineWorkers(t, { graceMs: 60_000 })
  await supervisor.start()
  const all = pids()
  const lease = await enterUpstreams(upstreams, forever)
  const busy = supervisor.workers.find(({ name }) => name === lease.upstream.name)?.pid ?? 0
  const closed = supervisor.close()
  for (const pid of all) if (pid !== busy) await untilGone(pid)
  t.equal(supervisor.workers.length, 1, 'the busy one is left alone')
  lease.release('answered')
  await within('closed', closed)
  await untilGone(busy)
})

t.test(
  'a stuck worker says where it is, is replaced alone, and its words carry the request',
  async t => {
    const { supervisor, upstreams, settled, pids, lines, logged } = await lineWorkers(t, {
      words: ['dump'],
      stuckSignal: 'SIGUSR1',
    })
    await supervisor.start()
    const before = pids()
    const lease = await enterUpstreams(upstreams, forever)
    const stuck = supervisor.workers.find(({ name }) => name === lease.upstream.name)?.pid ?? 0
    lease.release('stuck', 'GET /slow')
    t.equal(upstreams.members.length, 1, 'it gets no more requests')
    await logged(/^a worker is stuck/)
    await logged(/^\s+at hold$/)
    const dump = lines.filter(({ fields, level }) => level === 'warn' && fields.pid === stuck)
    t.match(
      dump.map(({ message }) => message),
      ['stack:', '  at hold'],
    )
    t.ok(dump.every(({ fields }) => fields.request === 'GET /slow'))
    await untilGone(stuck)
    const after = await settled(2)
    t.same(
      before.filter(pid => after.includes(pid)),
      before.filter(pid => pid !== stuck),
    )
    t.notOk(
      lines.some(({ message }) => message.startsWith('a worker failed')),
      'no crash, no delay',
    )
  },
)

t.test(
  'a worker that fails three requests in a row is replaced, one that fails two is not',
  async t => {
    const { supervisor, upstreams, pids, settled } = await lineWorkers(t, {
      count: { min: 1, max: 1, spare: 0, idleMs: 1_000 },
    })
    await supervisor.start()
    const before = pids()
    const turn = async (outcome: 'failed' | 'answered'): Promise<void> =>
      (await enterUpstreams(upstreams, forever)).release(outcome)
    for (const outcome of ['failed', 'failed', 'answered', 'failed', 'failed'] as const) {
      await turn(outcome)
    }
    t.same(pids(), before)
    await turn('failed')
    t.same(pids(), [])
    t.not((await settled(1))[0], before[0])
  },
)

t.test(
  'recycling: after N requests, replacement first, requests of the old one are let end',
  async t => {
    const { supervisor, upstreams, pids, settled } = await lineWorkers(t, {
      count: { min: 1, max: 1, spare: 0, idleMs: 1_000 },
      capacity: 2,
      recycling: { requests: 5, ageMs: 0, memoryBytes: 0 },
    })
    await supervisor.start()
    const [old = 0] = pids()
    const long = await enterUpstreams(upstreams, forever)
    for (let i = 0; i < 4; i++) (await enterUpstreams(upstreams, forever)).release('answered')
    t.same(pids(), [old], 'the fourth is one before the limit')
    ;(await enterUpstreams(upstreams, forever)).release('answered')
    t.equal(supervisor.workers.length, 2, 'another is started')
    t.ok(upstreams.members.includes(long.upstream), 'and the old one is still there')
    await waitFor('the new one has taken over', () => !upstreams.members.includes(long.upstream))
    t.equal(upstreams.members.length, 1)
    t.equal(
      supervisor.workers.find(({ pid }) => pid === old)?.state,
      'draining',
      'it has a request',
    )
    long.release('answered')
    t.not((await settled(1))[0], old)
    await untilGone(old)
  },
)

t.test('recycling: by age and by memory', async t => {
  const count = { min: 1, max: 1, spare: 0, idleMs: 1_000 }
  const aged = await lineWorkers(t, {
    count,
    recycling: { requests: 0, ageMs: 500, memoryBytes: 0 },
  })
  const grown = await lineWorkers(t, {
    count,
    recycling: { requests: 0, ageMs: 0, memoryBytes: 120 * 1024 ** 2 },
  })
  await Promise.all([aged.supervisor.start(), grown.supervisor.start()])
  const [old = 0] = aged.pids()
  await untilGone(old)
  await aged.supervisor.close()
  const [small = 0] = grown.pids()
  for (let i = 0; i < 2; i++) await say(grown.upstreamOf(small).address, 'grow')
  const turn = async (): Promise<boolean> => {
    const lease = await enterUpstreams(grown.upstreams, forever)
    lease.release('answered')
    return !grown.pids().includes(small)
  }
  await waitFor('it is replaced', turn)
  await untilGone(small)
})

t.test(
  'reload: one by one, replacement first, no moment without a worker; two at once are one',
  async t => {
    const { supervisor, upstreams, pids } = await lineWorkers(t)
    await supervisor.start()
    const before = pids()
    let fewest = Number.POSITIVE_INFINITY
    let most = 0
    const watch = setInterval(() => {
      fewest = Math.min(fewest, upstreams.members.length)
      most = Math.max(most, supervisor.workers.filter(({ state }) => state !== 'draining').length)
    }, 1)
    await within('reloaded', Promise.all([supervisor.reload(), supervisor.reload()]))
    clearInterval(watch)
    const after = pids()
    t.equal(after.length, 2)
    t.notOk(after.some(pid => before.includes(pid)))
    t.equal(fewest, 2)
    t.equal(most, 3, 'one more at a time')
    for (const pid of before) await untilGone(pid)
    t.equal(Math.max(...supervisor.workers.map(({ name }) => Number(name.split('-').at(-1)))), 4)
  },
)

t.test('reload: when new workers do not start, the old ones stay, and it says so', async t => {
  const root = tempRoot(t)
  const mark = join(root.path, 'broken')
  const { supervisor, pids, logged } = await lineWorkers(t, { words: ['marked', mark] })
  await supervisor.start()
  const before = pids()
  writeFileSync(mark, '')
  await t.rejects(within('the reload has failed', supervisor.reload()), {
    name: 'WorkersFailed',
    stderr: /no data base/,
  })
  await logged(/^the reload is given up/)
  t.same(pids(), before)
  const another = waitFor('another try', () => supervisor.workers.length > 2, 400)
  await t.rejects(another, 'it is not tried again by itself')
})

t.test(
  'watch: a file that is replaced reloads the workers, and what they write does not',
  async t => {
    const root = tempRoot(t)
    const { supervisor, pids, lines } = await lineWorkers(t, { watch: [root.path] })
    await supervisor.start()
    const before = pids()
    writeFileSync(join(root.path, 'app.log'), 'x')
    const noticed = () => lines.some(({ message }) => message.startsWith('a file has changed'))
    await t.rejects(waitFor('its log is noticed', noticed, 300))
    writeFileSync(join(root.path, 'app.js'), 'x')
    await waitFor(
      'all are new',
      () => !pids().some(pid => before.includes(pid)) && pids().length === 2,
    )
    const seen = lines.filter(({ message }) => message.startsWith('a file has changed'))
    t.match(seen, [{ fields: { file: join(root.path, 'app.js') } }])
  },
)

t.test('on demand: none at first, as many as wait up to max, none again after idleMs', async t => {
  const { supervisor, upstreams, pids, settled } = await lineWorkers(t, {
    count: { min: 0, max: 2, spare: 0, idleMs: 200 },
  })
  await within('started', supervisor.start())
  t.same(supervisor.workers, [])
  const leases = await Promise.all([
    enterUpstreams(upstreams, forever),
    enterUpstreams(upstreams, forever),
  ])
  t.equal(pids().length, 2, 'two for two')
  const third = Promise.resolve(enterUpstreams(upstreams, forever))
  t.equal(supervisor.workers.length, 2, 'never more than max')
  for (const lease of leases) lease.release('answered')
  ;(await third).release('answered')
  await settled(0)
})

t.test('dynamic: spare workers are kept ready', async t => {
  const { supervisor, upstreams, settled } = await lineWorkers(t, {
    count: { min: 1, max: 4, spare: 1, idleMs: 200 },
  })
  await supervisor.start()
  const first = await enterUpstreams(upstreams, forever)
  const second = await enterUpstreams(upstreams, forever)
  await settled(3)
  first.release('answered')
  second.release('answered')
  await settled(1)
})

t.test('without blocking sockets it says what to do', async t => {
  const { Supervisor } = await import('../../src/worker/supervisor.js')
  const { spawnerNamed } = await import('../support/spawners.js')
  const { defaultWorkers } = await import('../../src/worker/options.js')
  const supervisor = new Supervisor({
    config: { ...defaultWorkers, command: ['/bin/true'], directory: '/', env: [] },
    listen: { kind: 'own' },
    capacity: 1,
    upstreams: undefined,
    spawner: await spawnerNamed('node'),
    log: { debug() {}, info() {}, warn() {}, error() {} },
    ready: undefined,
  })
  await t.rejects(supervisor.start(), {
    name: 'WorkersFailed',
    message: /blocking socket.*koffi.*POSTERN_SPAWN unset/,
  })
})
