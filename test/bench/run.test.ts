/**
 * A whole benchmark with real servers and a real load generator: what it gives, and that nothing is left of it.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { BenchOptions } from '../../src/bench/options.js'
import { type BenchSurroundings, runModes } from '../../src/bench/run.js'
import type { ModeName } from '../../src/bench/subject.js'
import { children, commandOf } from '../support/processes.js'
import { tempRoot } from '../support/temp-root.js'
import { waitFor, within } from '../support/wait-for.js'

const source = (path: string): string =>
  fileURLToPath(new URL(`../../src/${path}`, import.meta.url))
const node = [process.execPath, `--import=${import.meta.resolve('tsx')}`]

const hello = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nHello, world\\n'\n"

interface Bench {
  readonly options: BenchOptions
  readonly surroundings: BenchSurroundings
  readonly lines: string[]
  readonly stop: AbortController
}

/** A short benchmark of one script, in a temporary folder of its own; teardown wants everything gone. */
function bench(t: Test, script: string, changes: Partial<BenchOptions> = {}): Bench {
  const root = tempRoot(t, { 'script.sh': script })
  const before = new Set(children())
  // The loader of these tests keeps its own cache there.
  const temporary = process.env.TMPDIR
  process.env.TMPDIR = root.notes
  t.teardown(async () => {
    if (temporary === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = temporary
    const files = readdirSync(root.notes).filter(name => name.startsWith('postern'))
    if (files.length > 0) throw new Error(`files are left: ${files}`)
    const left = (): number[] => children().filter(pid => !before.has(pid))
    await waitFor('no processes are left', () => left().length === 0, 1_000).catch(() => {
      throw new Error(`left: ${left().map(commandOf)}`)
    })
  })
  const lines: string[] = []
  const stop = new AbortController()
  const file = join(root.cgi, 'script.sh')
  const modes: readonly ModeName[] = ['cgi']
  return {
    options: {
      subject: { file, target: '/path?query', modes },
      ...{ durationMs: 200, warmUpMs: 100, clients: 4, rounds: 2, workers: 1 },
      ...changes,
    },
    surroundings: {
      command: [...node, source('cli/main.ts')],
      loadCommand: [...node, source('bench/load-process.ts')],
      env: { PATH: process.env.PATH, TMPDIR: root.notes },
      version: '9.9.9',
      signal: stop.signal,
      progress: line => void lines.push(line),
    },
    lines,
    stop,
  }
}

const run = ({ options, surroundings }: Bench) =>
  within('the benchmark has run', runModes(options, surroundings), 60_000)

t.test('a CGI script: rounds, figures, the answer that was agreed on', async t => {
  const made = bench(t, hello)
  const result = await run(made)
  const { file } = made.options.subject
  t.match(result, {
    format: 1,
    versions: { postern: '9.9.9', node: process.version },
    plan: { file, target: '/bench/path?query', rounds: 2, clients: 4, durationMs: 200 },
    answer: { status: 200, type: 'text/plain', length: 13 },
    comparison: 'body',
    modes: [{ mode: 'cgi', title: 'CGI', route: { path: '/bench', cgi: file } }],
    skipped: [],
    complete: true,
  })
  const [cgi] = result.modes
  t.equal(cgi?.rounds.length, 2)
  for (const sample of cgi?.rounds ?? []) {
    t.ok(sample.rate > 5, `${sample.rate} requests/s`)
    t.match(sample, { errors: 0, wrong: 0 })
    t.ok((sample.p50Ms ?? 0) > 0 && (sample.p99Ms ?? 0) >= (sample.p50Ms ?? 0))
    t.ok(sample.loadGeneratorCpu > 0)
    if (process.platform !== 'linux') continue
    t.ok((sample.cpuSecondsPer1000 ?? 0) > 0.1, `${sample.cpuSecondsPer1000} s per 1000`)
  }
  if (process.platform === 'linux') t.ok((cgi?.peakMiB ?? 0) > 20, `${cgi?.peakMiB} MiB`)
  t.strictSame(
    made.lines.map(line => line.replace(/\d+ requests/, 'N requests')),
    [
      'starting CGI',
      'the answer is 200, text/plain, 13 bytes',
      'warming up CGI, 0.1 s; 0.4 s of rounds left',
      'round 1 of 2: CGI N requests/s; 0.2 s of rounds left',
      'round 2 of 2: CGI N requests/s; 0 s of rounds left',
    ],
  )
})

t.test('a program that never says the same twice is measured by status and type', async t => {
  const { modes, comparison } = await run(bench(t, `${hello}echo $$\n`))
  t.equal(comparison, 'status and type')
  t.match(modes[0]?.rounds, [{ wrong: 0, errors: 0 }])
})

t.test('a mode that cannot be started is left out, and the result says why', async t => {
  const { options, ...rest } = bench(t, hello, { rounds: 1 })
  // As a worker this script ends at once.
  const subject = { ...options.subject, modes: ['cgi', 'fastcgi'] as const }
  const result = await run({ options: { ...options, subject }, ...rest })
  t.match(result.modes, [{ mode: 'cgi', rounds: [{ errors: 0 }] }])
  t.equal(result.modes.length, 1)
  t.match(result.skipped, [{ mode: 'fastcgi', title: 'FastCGI', reason: /fastcgi|worker/i }])
  t.equal(result.complete, true)
})

t.test('no mode can be started: the reason is the failure', async t => {
  const { options, ...rest } = bench(t, hello)
  const subject = { ...options.subject, file: '/nowhere/script.sh' }
  await t.rejects(run({ options: { ...options, subject }, ...rest }), {
    name: 'BenchFailure',
    message: /^the server has ended \(exit status 2\): .*\/nowhere\/script\.sh/,
  })
})

t.test('a program that fails is nothing to measure; its words are in the message', async t => {
  const made = bench(t, '#!/bin/sh\necho "no such database" >&2\nexit 1\n')
  await t.rejects(run(made), {
    name: 'BenchFailure',
    message: /^CGI answers with 500,[\s\S]*no such database/,
  })
})

t.test('the signal ends it; what was measured so far is the result', async t => {
  for (const [line, rounds] of [
    [/^starting CGI/, undefined],
    [/^the answer is/, 0],
    [/^warming up/, 0],
    [/^round 1 of 100/, 1],
  ] as const) {
    const made = bench(t, hello, { rounds: 100 })
    const progress = (text: string): void => {
      if (line.test(text)) setTimeout(() => made.stop.abort('SIGINT'), 20)
    }
    const result = await run({ ...made, surroundings: { ...made.surroundings, progress } })
    t.equal(result.complete, false, `${line}`)
    t.equal(result.modes[0]?.rounds.length, rounds, `${line}`)
  }
})

t.test('a server that ends early is the failure, not a slow mode', async t => {
  const made = bench(t, hello, { rounds: 100 })
  const progress = (text: string): void => {
    if (!/^round 1 of/.test(text)) return
    const server = children().find(pid => / serve -c .*cgi\.json/.test(commandOf(pid)))
    if (server !== undefined) process.kill(server, 'SIGKILL')
  }
  await t.rejects(run({ ...made, surroundings: { ...made.surroundings, progress } }), {
    name: 'BenchFailure',
    message: /^the server has ended \(SIGKILL\)/,
  })
})
