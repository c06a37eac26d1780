/**
 * kill -9 of workers at random under load: every request that fails was at a worker that was killed, and had
 * begun to be answered or is not safe to repeat; all others succeed. The workers' own notes are the proof.
 * `bench/chaos.ts` does the same to the command, for longer.
 */
import t from 'tap'
import type { Outcome } from '../../bench/chaos-client.js'
import type { Visit } from '../../bench/chaos-notes.js'
import { runChaos } from '../../bench/chaos-run.js'
import { judge } from '../../bench/chaos-verdict.js'
import { serveNoted } from '../support/noting-workers.js'
import { isAlive } from '../support/processes.js'
import { waitFor } from '../support/wait-for.js'

t.test('G-19, C-10 kill -9 at random, three seconds, 16 clients, 4 workers', async t => {
  const { server, notes, origin, sentTo } = await serveNoted(t, 4)
  const result = await runChaos({
    ...{ origin, notes, sentTo, clients: 16, durationMs: 3_000 },
    killEveryMs: [100, 200],
  })
  t.comment(JSON.stringify({ ...result, outcomes: undefined }))
  t.strictSame(result.faults, [])
  t.ok(result.killed.length >= 5, `${result.killed.length} kills`)
  t.ok(result.ends.fine > 100, `${result.ends.fine} were answered`)
  const { begun, unsafe, repeated } = result.ends
  t.ok(begun + unsafe + repeated > 0, 'kills met requests')
  await waitFor('four workers live', () => {
    notes.read()
    return [...notes.workers].filter(isAlive).length === 4
  })
  t.equal((await server.request('/w/quick/last')).text().split(' ')[0], 'last')
})

t.test('without a kill nothing fails and nothing is repeated', async t => {
  const { notes, origin, sentTo } = await serveNoted(t, 2)
  const result = await runChaos({
    ...{ origin, notes, sentTo, clients: 8, durationMs: 500 },
    killEveryMs: undefined,
  })
  t.strictSame(result.faults, [])
  t.equal(result.ends.fine, result.requests)
})

t.test('the verdict: what is allowed, and what is not', async t => {
  const outcome: Outcome = {
    ...{ id: 'a-1', method: 'GET', bodyBytes: 0, status: 502, text: '', whole: true },
    endedAt: 100,
  }
  const kind = (changes: Partial<Outcome>, visits: readonly Visit[], sentTo?: number): string =>
    judge(
      { ...outcome, ...changes },
      {
        visits: () => visits,
        // Workers 1, 2 and 5 were killed before the request was over, worker 3 after, worker 4 not.
        killedAt: pid => ({ 1: 50, 2: 60, 3: 150, 5: 50 })[pid],
        sentTo: () => sentTo,
      },
    ).kind
  const at = (pid: number, begun = false): Visit => ({ pid, begun })
  const good = { status: 200, text: 'a-1 4 0\n' }
  t.equal(kind(good, [at(4, true)]), 'fine')
  t.equal(kind(good, [at(1, true), at(4, true)]), 'repeated')
  t.equal(kind({}, [at(1, true)]), 'begun')
  t.equal(kind({ status: 200, whole: false }, [at(1, true)]), 'begun')
  t.equal(kind({ method: 'POST' }, [at(1)]), 'unsafe')
  t.equal(kind({ method: 'POST' }, [], 1), 'unsafe')
  t.equal(kind({}, [at(1), at(2)], 5), 'givenUp')

  t.equal(kind({ ...good, text: 'a-2 4 0\n' }, [at(4, true)]), 'fault', 'another request’s answer')
  t.equal(kind({ ...good, text: 'a-1 4 9\n' }, [at(4, true)]), 'fault', 'a body cut short')
  t.equal(kind({ ...good, text: 'a-1 2 0\n' }, [at(4, true)]), 'fault', 'another worker’s answer')
  t.equal(kind({ ...good, whole: false }, [at(4, true)]), 'fault', 'an answer cut short')
  t.equal(kind(good, [at(3), at(4, true)]), 'fault', 'repeated before the kill')
  t.equal(kind({ ...good, method: 'POST' }, [at(1), at(4)]), 'fault', 'a POST that ran twice')
  t.equal(kind({}, [at(1)]), 'fault', 'safe and not repeated')
  t.equal(kind({}, [at(1), at(2)]), 'fault', 'safe and given up too soon')
  t.equal(kind({}, []), 'fault', 'safe and nowhere')
  t.equal(kind({}, [at(4, true)]), 'fault', 'a worker that lives')
  t.equal(kind({}, [at(3, true)]), 'fault', 'a worker that was killed later')
  t.equal(kind({ method: 'POST' }, []), 'fault', 'a POST that was nowhere')
  t.equal(kind({ method: 'POST' }, [], 3), 'fault', 'a POST sent to a worker that lived')
})
