/**
 * Issue 4.1: the life of fork servers. They start on first use, notice what changes, give way to a fresh start when
 * anything is wrong with them, and leave nothing behind.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { SpawnSpec } from '../../src/process/spawner.js'
import { peer } from '../support/peers.js'
import { openDescriptors, untilGone } from '../support/processes.js'
import { waitFor } from '../support/wait-for.js'
import {
  run,
  scriptSpec,
  textOf,
  type WarmUnderTest,
  warmProgram,
  warmSpawner,
} from '../support/warm.js'

const python = '/usr/bin/python3'

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'postern-warm-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** A copy of some fixtures, for a test that changes them. */
function copies(t: Test, ...names: readonly string[]): string {
  const path = folder(t)
  for (const name of names) cpSync(warmProgram(name), join(path, name))
  return path
}

/** A test with python3, unless it is missing. */
function warmTest(
  name: string,
  body: (t: Test, subject: WarmUnderTest) => Promise<void>,
  options: { readonly patienceMs?: number } = {},
): void {
  t.test(name, async t => {
    if (peer(t, 'python3', [python]) === undefined) return
    const subject = await warmSpawner(t, options)
    if (subject !== undefined) await body(t, subject)
  })
}

const said = ({ records }: WarmUnderTest, text: string) =>
  records.filter(({ message, fields }) => `${message} ${JSON.stringify(fields)}`.includes(text))

warmTest(
  'one fork server for all scripts of an interpreter, gone after close',
  async (t, subject) => {
    const { warm } = subject
    const before = openDescriptors()
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        run(warm, scriptSpec(warmProgram(i % 2 ? 'dice.py' : 'coded.py'))),
      ),
    )
    t.equal(new Set(outcomes.map(({ pid }) => pid)).size, 20)
    t.ok(outcomes.every(({ forked, exit }) => forked && exit.code === 0))
    t.equal(said(subject, 'a fork server is ready').length, 1)
    const server = subject.server()
    await warm.close()
    await untilGone(server)
    // Node itself may close one meanwhile.
    const left = [...openDescriptors()].filter(([fd, what]) => before.get(fd) !== what)
    t.strictSame(left, [])
    const late = await run(warm, scriptSpec(warmProgram('coded.py')))
    t.notOk(late.forked, 'fresh after close')
  },
)

warmTest('random numbers are never those of another request', async (t, { warm }) => {
  for (const script of ['dice.py', 'dice.pl']) {
    if (script.endsWith('pl') && peer(t, 'perl', ['/usr/bin/perl']) === undefined) continue
    const seen = new Set<string>()
    for (let i = 0; i < 12; i++) seen.add((await run(warm, scriptSpec(warmProgram(script)))).stdout)
    t.equal(seen.size, 12, script)
  }
})

warmTest(
  'modules of the interpreter are loaded once, those of the script never',
  async (t, { warm }) => {
    const path = copies(t, 'loaded.py', 'beside.py')
    const spec = scriptSpec(join(path, 'loaded.py'))
    t.match((await run(warm, spec)).stdout, /^\[False, False, False\]/)
    await waitFor('json and sqlite3 are loaded', async () => {
      const { stdout, forked } = await run(warm, spec)
      return forked && stdout.startsWith('[True, True, False]')
    })
  },
)

warmTest(
  'a changed script and a changed module of its own: new code at once',
  async (t, { warm }) => {
    const path = copies(t, 'modules.py', 'beside.py')
    const spec = scriptSpec(join(path, 'modules.py'))
    for (let i = 0; i < 3; i++) t.match((await run(warm, spec)).stdout, / here /)
    writeFileSync(join(path, 'beside.py'), 'word = "elsewhere"')
    t.match((await run(warm, spec)).stdout, / elsewhere /)
    writeFileSync(join(path, 'modules.py'), '#!/usr/bin/python3\nprint("new")\n', { mode: 0o755 })
    const changed = await run(warm, spec)
    t.equal(changed.stdout, 'new\n')
    t.ok(changed.forked)
  },
)

warmTest('the pipes of one child are not held by another', async (t, { warm }) => {
  const spec: SpawnSpec = { ...scriptSpec(warmProgram('loaded.py')), stdin: 'pipe' }
  const first = await warm.spawn(spec)
  const output = Promise.all([textOf(first.stdout), textOf(first.stderr)])
  const second = await run(warm, spec, 'body')
  t.match(second.stdout, /^None 4$/m, 'it sees the end of its body, and we that of its output')
  first.stdin?.end()
  t.match((await output)[0], /^None 0$/m)
  await first.exited
})

warmTest('kill reaches a forked child; CPU time and memory are its own', async (t, { warm }) => {
  const spec: SpawnSpec = { ...scriptSpec(warmProgram('loaded.py')), stdin: 'pipe' }
  const child = await warm.spawn(spec)
  const output = Promise.all([textOf(child.stdout), textOf(child.stderr)])
  t.ok(child.kill('SIGKILL'))
  const exit = await child.exited
  await output
  child.stdin?.close()
  t.equal(exit.signal, 'SIGKILL')
  await waitFor('its group is gone', () => !child.kill(0))
  const { usage } = (await run(warm, scriptSpec(warmProgram('loaded.py')))).exit
  t.ok((usage?.maxRssKiB ?? 0) > 1_000 && (usage?.maxRssKiB ?? 0) < 60_000, 'peak memory')
})

warmTest('killed in the middle of load: nothing fails, nothing runs twice', async (t, subject) => {
  const { warm } = subject
  const path = copies(t, 'loaded.py', 'beside.py')
  const file = join(path, 'lines')
  writeFileSync(file, '')
  await run(warm, scriptSpec(join(path, 'loaded.py')))
  const first = subject.server()
  const outcomes = await Promise.all(
    Array.from({ length: 80 }, async (_, i) => {
      if (i === 40) process.kill(first, 'SIGKILL')
      const variables = [`Q_NUMBER=${i}`, `Q_FILE=${file}`]
      return await run(warm, scriptSpec(join(path, 'loaded.py'), variables))
    }),
  )
  for (const [i, { stdout, stderr }] of outcomes.entries()) {
    t.match(stdout, new RegExp(`^${i} 0$`, 'm'))
    t.equal(stderr, '')
  }
  t.equal(readFileSync(file, 'utf8'), 'ran\n'.repeat(80))
  const next = await run(warm, scriptSpec(join(path, 'loaded.py')))
  t.ok(next.forked, 'by another fork server')
  t.not(subject.server(), first)
})

warmTest(
  'one that hangs is replaced within the time limit',
  async (t, subject) => {
    const { warm } = subject
    const path = copies(t, 'loaded.py', 'beside.py')
    const file = join(path, 'lines')
    const spec = scriptSpec(join(path, 'loaded.py'), [`Q_FILE=${file}`])
    await run(warm, spec)
    const first = subject.server()
    process.kill(first, 'SIGSTOP')
    const outcomes = await Promise.all([run(warm, spec), run(warm, spec), run(warm, spec)])
    t.ok(
      outcomes.every(({ forked, exit }) => !forked && exit.code === 0),
      'started fresh',
    )
    t.equal(readFileSync(file, 'utf8'), 'ran\n'.repeat(4))
    t.equal(said(subject, 'does not answer').length, 1)
    await untilGone(first)
    t.ok((await run(warm, spec)).forked, 'by another fork server')
  },
  { patienceMs: 300 },
)

warmTest('E a thread at import: refused, with one line that says why', async (t, subject) => {
  const { warm } = subject
  const home = folder(t)
  const env = { HOME: home, PATH: '/usr/bin:/bin' }
  const site = execFileSync(python, ['-m', 'site', '--user-site'], { env }).toString().trim()
  mkdirSync(site, { recursive: true })
  cpSync(warmProgram('site/thread_at_import.py'), join(site, 'thread_at_import.py'))
  const spec = scriptSpec(warmProgram('threads.py'), [`HOME=${home}`])
  await waitFor('it runs fresh', async () => {
    const { stdout, forked } = await run(warm, spec)
    t.equal(stdout, 'ran True\n')
    return !forked
  })
  await run(warm, spec)
  const lines = said(subject, 'warm mode is refused')
  t.equal(lines.length, 1)
  t.match(lines[0]?.fields.reason, /thread_at_import starts a thread/)
  t.ok((await run(warm, scriptSpec(warmProgram('coded.py'), [`HOME=${home}`]))).forked, 'others')
})

warmTest('what stands in the #! line and cannot be honoured: refused once', async (t, subject) => {
  if (peer(t, 'perl', ['/usr/bin/perl']) === undefined) return
  const spec = scriptSpec(warmProgram('taint.pl'))
  for (let i = 0; i < 3; i++) {
    const { stdout, forked } = await run(subject.warm, spec)
    t.equal(stdout, 'tainted 1\n')
    t.notOk(forked)
  }
  t.equal(said(subject, '-T in its #! line').length, 1)
})

warmTest(
  'an interpreter that does not become a fork server: fresh, and told',
  async (t, subject) => {
    const path = copies(t, 'loaded.py', 'beside.py')
    writeFileSync(
      join(path, 'python3'),
      `#!/bin/sh\ncase $1 in *fork-server.py) exit 3 ;; esac\nexec ${python} "$@"\n`,
      { mode: 0o755 },
    )
    const spec = scriptSpec(join(path, 'loaded.py'))
    const env = [`PATH=${path}:/usr/bin:/bin`]
    for (let i = 0; i < 3; i++) {
      const { exit, forked } = await run(subject.warm, { ...spec, env })
      t.equal(exit.code, 0)
      t.notOk(forked)
    }
    t.equal(said(subject, 'no fork server').length, 1)
  },
)

warmTest('an environment beyond one message, or of too many kinds: fresh', async (t, subject) => {
  const { warm } = subject
  const script = warmProgram('coded.py')
  const sized = (bytes: number) => scriptSpec(script, [`Q_LONG=${'x'.repeat(bytes)}`])
  const most =
    64 * 1024 - 100 - script.length - warmProgram('').length + 1 - '\x000\0Q_LONG='.length
  t.ok((await run(warm, sized(most))).forked, 'at the limit')
  t.notOk((await run(warm, sized(most + 1))).forked, 'one byte more')
  const forked = []
  for (let i = 1; i <= 9; i++) {
    forked.push((await run(warm, scriptSpec(script, [`KIND=${i}`]))).forked)
  }
  t.strictSame(forked, [...Array(7).fill(true), false, false], 'eight fork servers and no more')
  t.equal(said(subject, 'too many').length, 1)
})

warmTest('fork servers that keep dying: the next is tried after a pause', async (t, subject) => {
  const { warm } = subject
  const spec = scriptSpec(warmProgram('coded.py'))
  for (let i = 0; i < 3; i++) {
    t.ok((await run(warm, spec)).forked)
    const server = subject.server()
    process.kill(server, 'SIGKILL')
    await untilGone(server)
    await waitFor('it is missed', () => said(subject, 'a fork server has ended').length > i)
  }
  const outcome = await run(warm, spec)
  t.notOk(outcome.forked, 'fresh meanwhile')
  t.equal(outcome.exit.code, 0)
})
