/**
 * The gateway is the queue (design §4): many clients and two workers that take one request at a time. The
 * workers' own notes say how many they had at once and in which order.
 */
import t from 'tap'
import type { Work } from '../../bench/chaos-client.js'
import { runChaos } from '../../bench/chaos-run.js'
import type { FastCgiRoute } from '../../src/server/config.js'
import { type NotedServer, serveNoted } from '../support/noting-workers.js'
import { waitFor } from '../support/wait-for.js'

const quick: readonly Work[] = [{ kind: 'quick', method: 'GET', bodyBytes: 0 }]

t.test(
  'G-20 two workers and 64 clients: one at a time at each, and all get the same share',
  async t => {
    const { notes, origin, sentTo } = await serveNoted(t, 2)
    const result = await runChaos({
      ...{ origin, notes, sentTo, clients: 64, durationMs: 1_500, work: quick },
      killEveryMs: undefined,
    })
    t.strictSame(result.faults, [], 'no worker had two at once')
    t.equal(result.ends.fine, result.requests)
    t.equal(result.workers, 2)
    // First in, first out: whoever has been served stands behind all who wait.
    const shares = new Map<string, number>()
    for (const id of notes.order) {
      const [client = ''] = id.split('-')
      shares.set(client, (shares.get(client) ?? 0) + 1)
    }
    const counts = [...shares.values()]
    t.equal(counts.length, 64)
    const [least, most] = [Math.min(...counts), Math.max(...counts)]
    // Not exactly the same: a client takes its own time from an answer to its next request.
    t.ok(least >= 2 && most <= least * 1.5 + 3, `each had ${least} to ${most}`)
  },
)

t.test('the workers would tell: with capacity 2 they have two at once', async t => {
  const { notes, origin, sentTo } = await serveNoted(t, 1, {}, { capacity: 2 })
  const result = await runChaos({
    ...{ origin, notes, sentTo, clients: 4, durationMs: 300, killEveryMs: undefined },
    work: [{ kind: 'slow', method: 'GET', bodyBytes: 0 }],
  })
  t.match(result.faults[0], /^two requests at once: c\d-\d+ at \d+$/)
})

/** Both workers have a request that they hold. */
async function occupied(
  noted: NotedServer,
): Promise<readonly ReturnType<NotedServer['server']['request']>[]> {
  const { server, notes } = noted
  const held = ['a', 'b'].map(id => server.request(`/w/hold/${id}`))
  await waitFor('both are busy', () => {
    notes.read()
    return notes.order.length === 2
  })
  return held
}

const waiting = (length: number, waitMs: number): Partial<FastCgiRoute> => ({
  queue: { length, waitMs },
})

t.test('beyond queue.length 503 with Retry-After at once; those in line are served', async t => {
  const noted = await serveNoted(t, 2, {}, waiting(4, 20_000))
  const { server, notes, go } = noted
  const held = await occupied(noted)
  const refused: number[] = []
  const others = Array.from({ length: 10 }, async (_, at) => {
    const response = await server.request(`/w/quick/${at}`)
    if (response.status === 503) {
      t.ok(response.header('retry-after'))
      refused.push(at)
    }
    return response
  })
  await waitFor('all but four are refused', () => refused.length === 6)
  notes.read()
  t.equal(notes.order.length, 2, 'no worker has seen any of them')
  t.match(await server.accessFor('/w/quick/'), { status: 503, error: 'QUEUE_FULL' })
  go()
  for (const each of held) t.equal((await each).status, 200)
  const statuses = (await Promise.all(others)).map(({ status }) => status)
  t.equal(statuses.filter(status => status === 200).length, 4)
})

t.test('beyond queue.wait 503 with Retry-After; no worker has seen it', async t => {
  const noted = await serveNoted(t, 2, {}, waiting(4, 100))
  const { server, notes, go } = noted
  const held = await occupied(noted)
  const asked = performance.now()
  const response = await server.request('/w/quick/late')
  t.ok(performance.now() - asked >= 95, 'not before its time')
  t.equal(response.status, 503)
  t.ok(response.header('retry-after'))
  t.match(await server.accessFor('/w/quick/late'), { error: 'QUEUE_TIMEOUT' })
  go()
  for (const each of held) t.equal((await each).status, 200)
  t.equal((await server.request('/w/quick/next')).status, 200)
  notes.read()
  t.strictSame(notes.order.slice(2), ['next'])
})
