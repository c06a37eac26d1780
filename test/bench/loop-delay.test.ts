/**
 * Event loop delay of a real process, asked for by signal.
 */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startChild } from '../../bench/child.js'
import { loopDelayOf } from '../../bench/loop-delay-probe.js'
import { waitFor } from '../support/wait-for.js'

const hook = join(import.meta.dirname, '../../bench/loop-delay.mjs')
const subject = join(import.meta.dirname, 'block-loop.mjs')

t.test('a blocked loop shows once, then a new period begins', async t => {
  const directory = t.testdir({})
  mkdirSync(directory, { recursive: true })
  const outputFile = join(directory, 'output')
  const child = await startChild(process.execPath, ['--import', hook, subject], {
    outputFile,
    cwd: directory,
    env: { POSTERN_BENCH_LOOP_DELAY: directory },
  })
  t.teardown(child.stop)
  await waitFor('the subject has blocked', () =>
    readFileSync(outputFile, 'utf8').includes('blocked'),
  )
  const probe = loopDelayOf(directory)
  const first = await probe.take()
  t.ok(first.maxMs >= 150 && first.maxMs < 5000, `${first.maxMs} ms`)
  const second = await probe.take()
  t.ok(second.maxMs < first.maxMs, `${second.maxMs} ms`)
})

t.test('without an announced process there is nothing to signal', async t => {
  t.same(await loopDelayOf(t.testdir({})).take(), { p99Ms: 0, maxMs: 0 })
})
