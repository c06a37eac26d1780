/**
 * The tests of the host that are Python themselves (`host_test.py`), with every Python that is here.
 */
import { execFile } from 'node:child_process'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { hostProgram } from '../../src/wsgi/host.js'
import { pythonWith } from '../support/python.js'

const tests = fileURLToPath(new URL('host_test.py', import.meta.url))

t.test('records, heads, bodies, loading', async t => {
  const python = pythonWith(t)
  if (python === undefined) return
  const run = promisify(execFile)(python, [tests, dirname(hostProgram)], { timeout: 60_000 })
  const { stderr } = await run.catch((error: { readonly stderr: string }) => error)
  t.match(stderr, /^Ran \d{2,} tests/m)
  t.match(stderr, /^OK$/m, stderr)
})
