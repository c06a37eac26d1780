/**
 * A worker of ours that does not answer any more: its request is 504, what it says of itself is in the log
 * with that request, it is replaced alone, and nobody else notices (F-4, F-5, issue "the workers behind it").
 */
import t from 'tap'
import { runChaos } from '../../bench/chaos-run.js'
import { defaultFastCgiRoute } from '../../src/server/config.js'
import { serveNoted } from '../support/noting-workers.js'
import { isAlive, untilEnded } from '../support/processes.js'
import { waitFor } from '../support/wait-for.js'

t.test('F-5 a stuck worker under load: 504, its stack in the log, the others go on', async t => {
  const timeouts = { ...defaultFastCgiRoute.timeouts, firstByteMs: 700, graceMs: 200 }
  const { server, notes, origin, sentTo } = await serveNoted(
    t,
    3,
    { stuckSignal: 'SIGUSR2', stuckDumpMs: 200, graceMs: 200 },
    { timeouts },
  )
  const before = [...notes.workers]
  const load = runChaos({
    ...{ origin, notes, sentTo, clients: 6, durationMs: 2_000, killEveryMs: undefined },
  })
  const response = await server.request('/w/hold/lost')
  t.equal(response.status, 504)
  t.match(await server.accessFor('/w/hold/lost'), { status: 504, error: 'FIRST_BYTE_TIMEOUT' })
  notes.read()
  const stuck = notes.visitsOf('lost').map(({ pid }) => pid)
  t.equal(stuck.length, 1, 'what is stuck is not tried again')
  const line = await server.recordOf('a worker is stuck')
  t.match(line, { level: 'error', fields: { pid: stuck[0], request: 'GET /w/hold/lost' } })
  const dump = await server.recordOf('at answer (lost)')
  t.match(dump, { level: 'warn', fields: { pid: stuck[0], request: 'GET /w/hold/lost' } })
  await untilEnded(stuck[0] ?? 0)

  const result = await load
  t.strictSame(result.faults, [])
  t.equal(result.ends.fine, result.requests, 'every other request is answered, once')
  await waitFor('there are three again', () => {
    notes.read()
    return [...notes.workers].filter(isAlive).length === 3
  })
  t.strictSame(
    before.filter(pid => !isAlive(pid)),
    stuck,
    'it was replaced alone',
  )
})
