/**
 * Issue 4.1: a script that is forked cannot be told from one that is started fresh. Each script of
 * test/fixtures/programs/warm runs once fresh and several times warm: output, errors and exit must be the same bytes.
 */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { SpawnSpec } from '../../src/process/spawner.js'
import { peer, perlWith } from '../support/peers.js'
import {
  type Outcome,
  run,
  scriptSpec,
  type WarmUnderTest,
  warmProgram,
  warmSpawner,
} from '../support/warm.js'

/** Runs warm: before, while and after the modules of the script are loaded for good. */
const times = 4

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'postern-warm-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  return path
}

/**
 * Addresses in memory are nobody's promise. What perl says differs in two places (docs/cgi.md): it counts the evals of
 * the fork server too, and names it where it gives up compiling.
 */
const lines = (text: string): string[] =>
  text
    .replace(/0x[0-9a-f]{6,}/g, '0x…')
    .replace(/\(eval \d+\)/g, '(eval 1)')
    .replace(/^Execution of \S+ aborted/gm, 'Execution aborted')
    .split('\n')

const visible = ({ stdout, stderr, exit: { code, signal } }: Outcome) => ({
  stdout: lines(stdout),
  stderr: lines(stderr),
  code,
  signal,
})

async function compare(
  t: Test,
  { fresh, warm }: WarmUnderTest,
  what: string,
  spec: SpawnSpec,
  { body = '', forked = true, written = '' } = {},
): Promise<void> {
  const expected = visible(await run(fresh, spec, body))
  const file = written === '' ? '' : readFileSync(written, 'utf8')
  for (let i = 1; i <= times; i++) {
    if (written !== '') writeFileSync(written, '')
    const got = await run(warm, spec, body)
    t.equal(got.forked, forked, `${what}, run ${i}: ${forked ? 'forked' : 'fresh'}`)
    t.strictSame(visible(got), expected, `${what}, run ${i}`)
    if (written !== '') t.equal(readFileSync(written, 'utf8'), file, `${what}, run ${i}: its file`)
  }
}

/** The words after which a table of cases in a script names one. */
function casesIn(script: string, pattern: RegExp): string[] {
  const found = [...readFileSync(warmProgram(script), 'utf8').matchAll(pattern)]
  return found.map(match => match[1] ?? '')
}

async function compareEnds(t: Test, script: string, cases: readonly string[]): Promise<void> {
  const subject = await warmSpawner(t)
  if (subject === undefined) return
  const written = join(folder(t), 'file')
  writeFileSync(written, '')
  t.ok(cases.length > 15, `${cases.length} cases`)
  for (const name of cases) {
    const spec = scriptSpec(warmProgram(script), [`Q_CASE=${name}`, `Q_FILE=${written}`])
    await compare(t, subject, name, spec, name.startsWith('unwritten') ? { written } : {})
  }
}

async function compareStates(t: Test, script: string): Promise<void> {
  const subject = await warmSpawner(t)
  if (subject === undefined) return
  const spec = scriptSpec(warmProgram(script), ['Q_BYTES=\xff\xc3\xa9 "$x', 'Q_EMPTY='])
  await compare(t, subject, 'without a body', spec)
  await compare(t, subject, 'a body', { ...spec, stdin: 'pipe' }, { body: 'body\r\nof lines\n' })
  await compare(t, subject, 'another folder', { ...spec, cwd: '/usr' })
  for (const variable of [
    'LANG=C',
    'LC_ALL=C.UTF-8',
    'TZ=Asia/Tokyo',
    'PYTHONIOENCODING=latin-1',
  ]) {
    const env = [...spec.env.filter(entry => !entry.startsWith('LANG')), variable]
    await compare(t, subject, variable, { ...spec, env })
  }
  const interpreter = script.endsWith('py') ? '/usr/bin/python3' : '/usr/bin/perl'
  const mapped = { file: interpreter, argv: [interpreter, spec.file, 'word', '', '\xff'] }
  await compare(t, subject, 'arguments', { ...spec, ...mapped })
  const spooled = join(folder(t), 'body')
  writeFileSync(spooled, 'a spooled body')
  for (let i = 0; i < 2; i++) {
    const seen: ReturnType<typeof visible>[] = []
    for (const spawner of [subject.fresh, subject.warm]) {
      const stdin = openSync(spooled, 'r')
      seen.push(visible(await run(spawner, { ...spec, stdin })))
      closeSync(stdin)
    }
    t.strictSame(seen[1], seen[0], 'a descriptor as stdin')
  }
}

t.test('python: every end of a script', async t => {
  if (peer(t, 'python3', ['/usr/bin/python3']) === undefined) return
  await compareEnds(t, 'ends.py', casesIn('ends.py', /^def (\w+)/gm))
})

t.test('python: what a process is, whatever the last script did to its own', async t => {
  if (peer(t, 'python3', ['/usr/bin/python3']) === undefined) return
  await compareStates(t, 'state.py')
})

t.test('python: modules, sources in other encodings, and what does not compile', async t => {
  if (peer(t, 'python3', ['/usr/bin/python3']) === undefined) return
  const subject = await warmSpawner(t)
  if (subject === undefined) return
  await compare(t, subject, 'modules', scriptSpec(warmProgram('modules.py')))
  await compare(t, subject, 'coded', scriptSpec(warmProgram('coded.py')))
  await compare(t, subject, 'wrong', scriptSpec(warmProgram('wrong.py')), { forked: false })
  await compare(t, subject, 'warns', scriptSpec(warmProgram('warns.py')), { forked: false })
})

t.test('python: words of the #! line, and an interpreter that the route maps', async t => {
  if (peer(t, 'python3', ['/usr/bin/python3']) === undefined) return
  const subject = await warmSpawner(t)
  if (subject === undefined) return
  const path = folder(t)
  const text = readFileSync(warmProgram('state.py'), 'utf8')
  for (const line of [
    '/usr/bin/python3 -I',
    '/usr/bin/python3 -SuB',
    '/usr/bin/env -S python3 -O',
  ]) {
    const script = join(path, `state${line.slice(-2)}.py`)
    writeFileSync(script, text.replace(/^#!.*/, `#!${line}`), { mode: 0o755 })
    await compare(t, subject, line, scriptSpec(script))
  }
  const spec = scriptSpec(warmProgram('state.py'))
  const mapped = { file: '/usr/bin/python3', argv: ['/usr/bin/python3', spec.file] }
  await compare(t, subject, 'mapped', { ...spec, ...mapped })
})

t.test('perl: every end of a script', async t => {
  if (perlWith(t, 'CGI') === undefined) return
  await compareEnds(t, 'ends.pl', casesIn('ends.pl', /^ {4}(\w+) => sub/gm))
})

t.test('perl: what a process is, whatever the last script did to its own', async t => {
  if (perlWith(t, 'CGI') === undefined) return
  await compareStates(t, 'state.pl')
})

t.test('perl: modules, and what does not compile', async t => {
  if (perlWith(t, 'CGI') === undefined) return
  const subject = await warmSpawner(t)
  if (subject === undefined) return
  await compare(t, subject, 'modules', scriptSpec(warmProgram('modules.pl')))
  await compare(t, subject, 'wrong', scriptSpec(warmProgram('wrong.pl')))
})
