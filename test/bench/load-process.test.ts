/**
 * The load generator as a process: a report for each plan, and its end with whoever started it.
 */
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startChild } from '../../src/bench/child.js'
import type { LoadPlan } from '../../src/bench/load.js'
import { startLoadGenerator } from '../../src/bench/load-child.js'
import { untilGone } from '../support/processes.js'
import { waitFor, within } from '../support/wait-for.js'

const program = fileURLToPath(new URL('../../src/bench/load-process.ts', import.meta.url))
const command = [process.execPath, `--import=${import.meta.resolve('tsx')}`, program]

async function serve(t: Test): Promise<{ plan: LoadPlan; requests: () => number }> {
  let requests = 0
  const server = createServer((_, response) => {
    requests++
    response.end('ok')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const expected = { status: 200, type: '', length: 2, body: undefined }
  return {
    plan: {
      ...{ host: '127.0.0.1', port: address.port, target: '/', clients: 2, durationMs: 100 },
      expected,
    },
    requests: () => requests,
  }
}

t.test('one plan after the other', async t => {
  const { plan, requests } = await serve(t)
  const load = await startLoadGenerator(command, process.env, '/')
  t.teardown(() => load.stop())
  const first = await within('the first report', load.run(plan))
  const second = await within('the second report', load.run({ ...plan, clients: 1 }))
  t.equal(first.requests + first.drained + second.requests + second.drained, requests())
  t.ok(first.requests > 0 && second.requests > 0)
  t.match([first, second], [{ errors: 0, wrong: 0 }, { errors: 0 }])
})

t.test('stopped in the middle, the report is missing and said to be', async t => {
  const { plan, requests } = await serve(t)
  const load = await startLoadGenerator(command, process.env, '/')
  const report = load.run({ ...plan, durationMs: 60_000 })
  await waitFor('it asks', () => requests() > 0)
  await Promise.all([
    t.rejects(within('it has ended', report), { name: 'BenchFailure' }),
    within('it is stopped', load.stop()),
  ])
})

t.test('it ends in the middle of a round when nobody holds its stdin any more', async t => {
  const { plan, requests } = await serve(t)
  const stdio = ['pipe', 'pipe', 2] as const
  const child = await startChild(command, { env: process.env, cwd: '/', stdio })
  t.teardown(() => child.stop())
  child.stdin?.write(`${JSON.stringify({ ...plan, durationMs: 60_000 })}\n`)
  await waitFor('it asks', () => requests() > 0)
  child.stdin?.destroy()
  await within('it has ended', child.exited)
  t.equal(child.ended(), 'exit status 0')
  await untilGone(child.pid)
})

t.test('a program that is not there is a failure by name', async t => {
  const starting = startChild(['/nowhere/node'], { env: {}, cwd: '/', stdio: ['ignore'] })
  await t.rejects(starting, {
    name: 'BenchFailure',
    message: /^\/nowhere\/node cannot be started: .*ENOENT/,
  })
})
