import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openOutput } from '../../src/cli/output.js'
import { tempRoot } from '../support/temp-root.js'
import { within } from '../support/wait-for.js'

function opened(t: Test, flags: 'r' | 'w') {
  const file = join(tempRoot(t, {}, { lines: '' }).public, 'lines')
  const fd = openSync(file, flags)
  t.teardown(() => closeSync(fd))
  return { file, output: openOutput(fd) }
}

t.test('after flush, every line is there, in order', async t => {
  const { file, output } = opened(t, 'w')
  const lines = Array.from({ length: 5000 }, (_, i) => `${i} ${'x'.repeat(i % 300)}\n`)
  for (const line of lines) output.write(line)
  await output.flush()
  t.equal(readFileSync(file, 'utf8'), lines.join(''))
  await within('a flush of nothing settles', output.flush())
})

t.test('a descriptor that takes nothing is no error, and flush settles', async t => {
  const { file, output } = opened(t, 'r')
  output.write('one\n')
  await within('the first flush settles', output.flush())
  output.write('two\n')
  await within('the second flush settles', output.flush())
  t.equal(readFileSync(file, 'utf8'), '')
})
