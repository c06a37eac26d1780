/**
 * Workers are replaced under load, for every reason there is but a crash: no request is lost, none is sent
 * twice, and those that were replaced are gone. (`reload-under-load.test.ts` has three plain reloads.)
 */
import { utimesSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { mixedWork, type Work } from '../../bench/chaos-client.js'
import { runChaos } from '../../bench/chaos-run.js'
import type { WorkersConfig } from '../../src/server/config.js'
import { type NotedServer, serveNoted } from '../support/noting-workers.js'
import { isAlive, untilEnded } from '../support/processes.js'
import { tempRoot } from '../support/temp-root.js'
import { waitFor } from '../support/wait-for.js'

/** Load on two workers for a while; every request has its answer, and was at one worker only. */
async function loseNone(
  t: Test,
  { notes, origin, sentTo }: NotedServer,
  durationMs: number,
  work: readonly Work[] = mixedWork,
): Promise<void> {
  const result = await runChaos({
    ...{ origin, notes, sentTo, durationMs, work, clients: 8, killEveryMs: undefined },
  })
  t.strictSame(result.faults, [])
  t.equal(result.ends.fine, result.requests, `${result.requests} requests`)
  t.comment(`${result.requests} requests, ${result.workers} workers`)
}

/** All workers but the last `count` have ended. */
async function formerAreGone({ notes }: NotedServer, count: number): Promise<void> {
  await waitFor('those that were replaced are gone', () => {
    notes.read()
    return [...notes.workers].filter(isAlive).length === count
  })
}

/** libuv has one inotify descriptor for all watches, and keeps it: it is there before the server is looked at. */
function watchOnce(file: string): void {
  watch(file).close()
}

const never = { requests: 0, ageMs: 0, memoryBytes: 0 }
const growing: readonly Work[] = [{ kind: 'grow', method: 'GET', bodyBytes: 0 }, ...mixedWork]

const reasons: readonly (readonly [
  what: string,
  recycling: WorkersConfig['recycling'],
  work: readonly Work[],
  durationMs: number,
  reason: string,
])[] = [
  ['after 20 requests', { ...never, requests: 20 }, mixedWork, 1_500, 'after '],
  ['by age', { ...never, ageMs: 400 }, mixedWork, 1_500, 'after 0 s'],
  ['by memory', { ...never, memoryBytes: 120 * 1024 ** 2 }, growing, 2_500, 'at 1'],
]
for (const [what, recycling, work, durationMs, reason] of reasons) {
  t.test(`recycling ${what} under load loses none`, async t => {
    const noted = await serveNoted(t, 2, { recycling })
    await loseNone(t, noted, durationMs, work)
    t.ok(noted.notes.workers.size >= 4, `${noted.notes.workers.size} workers`)
    t.notOk(noted.server.records.some(({ message }) => message === 'a worker failed'))
    await noted.server.recordOf(`"reason":"${reason}`)
  })
}

t.test('reload under bodies and streamed answers loses none', async t => {
  const noted = await serveNoted(t, 2)
  const { notes, server } = noted
  const load = loseNone(t, noted, 2_000)
  for (const reload of [1, 2]) {
    const before = [...notes.workers].filter(isAlive)
    await server.running.reload()
    for (const pid of before) await untilEnded(pid)
    notes.read()
    t.ok(notes.workers.size >= 2 + 2 * reload, `after reload ${reload}`)
  }
  await load
  await formerAreGone(noted, 2)
})

t.test(
  'dev: a watched file that is touched under load replaces the workers and loses none',
  async t => {
    const root = tempRoot(t)
    const file = join(root.path, 'app.js')
    writeFileSync(file, '')
    watchOnce(file)
    const noted = await serveNoted(t, 2, { watch: [file] }, {}, { dev: true })
    const { notes } = noted
    const before = [...notes.workers]
    const load = loseNone(t, noted, 2_000)
    utimesSync(file, new Date(), new Date())
    for (const pid of before) await untilEnded(pid)
    await load
    t.equal(notes.workers.size, 4, 'once')
    await formerAreGone(noted, 2)
  },
)

t.test('without dev a watched file that is touched changes nothing', async t => {
  const root = tempRoot(t)
  const file = join(root.path, 'app.js')
  writeFileSync(file, '')
  const noted = await serveNoted(t, 1, { watch: [file] })
  utimesSync(file, new Date(), new Date())
  await loseNone(t, noted, 300)
  t.equal(noted.notes.workers.size, 1)
})
