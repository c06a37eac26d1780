/** `postern bench` as a user sees it: flags, table, JSON, Ctrl-C. */
import { chmodSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { readBenchFlags } from '../../src/cli/bench-flags.js'
import { descendants, untilEnded } from '../support/processes.js'
import { type TempRoot, tempRoot } from '../support/temp-root.js'
import { within } from '../support/wait-for.js'
import { postern, runPostern } from './command.js'

const hello = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nhello'\n"

const brief = ['--duration', '200ms', '--rounds', '2', '--clients', '2']

/** A folder with scripts; teardown wants nothing left in the temporary folder that `env` names. */
function site(t: Test): { readonly root: TempRoot; readonly env: NodeJS.ProcessEnv } {
  const root = tempRoot(t, {
    'hello.sh': hello,
    'fail.sh': '#!/bin/sh\nexit 1\n',
    'app.mjs': "#!/usr/bin/env node\nimport { createServer } from 'postern/fastcgi'\n",
    'script.mjs': '#!/usr/bin/env node\n// postern/fastcgi is not for this one.\n',
  })
  t.teardown(() => {
    const files = readdirSync(root.notes).filter(name => name.startsWith('postern'))
    if (files.length > 0) throw new Error(`files are left: ${files}`)
  })
  return { root, env: { TMPDIR: root.notes } }
}

t.test('a script: the table on stdout, progress on stderr', async t => {
  const { root, env } = site(t)
  const command = postern(t, root.path, ['bench', 'cgi-bin/hello.sh', ...brief], env)
  const { code, stdout, stderr } = await within('it has ended', command.ended, 60_000)
  t.equal(code, 0)
  t.match(stdout, `${join(root.cgi, 'hello.sh')}, GET /bench\n2 clients, 2 rounds of 0.2 s in turn`)
  t.match(stdout, /^CGI +\d+ \(\d+ to \d+\) +\S+ ms +\S+ ms +(\S+ s +\d+ MiB|- +-) +0 +0$/m)
  t.match(stdout, /\nCGI carries \d+ requests\/s here/)
  t.match(stderr, /^starting CGI\nthe answer is 200, text\/plain, 5 bytes\nwarming up/)
})

t.test('--json is nothing but JSON', async t => {
  const { root, env } = site(t)
  const words = ['bench', '--json', 'cgi-bin/hello.sh', ...brief]
  const { code, stdout } = await within(
    'it has ended',
    postern(t, root.path, words, env).ended,
    60_000,
  )
  t.equal(code, 0)
  t.match(JSON.parse(stdout), {
    format: 1,
    machine: { cores: Number },
    plan: { clients: 2, rounds: 2, durationMs: 200 },
    modes: [{ mode: 'cgi', rounds: [{ errors: 0 }, { errors: 0 }] }],
    verdict: String,
    complete: true,
  })
})

t.test('a signal: what there is so far, and nothing is left', async t => {
  for (const [signal, exitCode] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const { root, env } = site(t)
    const words = ['bench', 'cgi-bin/hello.sh', '--duration', '200ms', '--rounds', '100']
    const command = postern(t, root.path, words, env)
    await command.logged(/^round 1 of 100/m)
    const below = descendants(command.pid)
    t.ok(below.length >= 2, 'a server and a load generator')
    command.signal(signal)
    await command.logged(/^ending; what was measured so far follows$/m)
    const { code, stdout } = await within('it has ended', command.ended)
    t.equal(code, exitCode)
    t.match(stdout, /^CGI +\d/m)
    t.match(stdout, '\nEnded early: not all rounds were run.\n')
    for (const pid of below) await untilEnded(pid)
  }
})

t.test('a program that fails is said so, not called a bug', async t => {
  const { root, env } = site(t)
  const command = postern(t, root.path, ['bench', 'cgi-bin/fail.sh', ...brief], env)
  const { code, stdout, stderr } = await within('it has ended', command.ended, 60_000)
  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(stderr, /^postern: CGI answers with 5\d\d, so there is nothing to measure/m)
  t.notMatch(stderr, 'bug')
})

t.test('mistakes: one line, exit code 2', async t => {
  const { root } = site(t)
  const { code, stdout, stderr } = await runPostern(t, root.path, ['bench', 'cgi-bin/helo.sh'])
  t.match(
    { code, stdout, stderr },
    {
      code: 2,
      stdout: '',
      stderr: 'postern: cgi-bin/helo.sh: there is no such script; correct the path\n',
    },
  )
})

t.test('every flag is read, and refused with what to write', async t => {
  const { root } = site(t)
  const script = join(root.cgi, 'hello.sh')
  const { options, json } = readBenchFlags([script]) ?? {}
  t.match(options, { durationMs: 3_000, warmUpMs: 1_000, clients: 16, rounds: 3 })
  t.match(options?.subject, { file: script, target: '', modes: ['cgi'] })
  t.equal(json, false)

  const at = (...words: string[]) => readBenchFlags([script, ...words])?.options
  t.match(at('--duration', '100ms', '--clients=1', '--rounds', '1'), {
    ...{ durationMs: 100, warmUpMs: 100, clients: 1, rounds: 1 },
  })
  t.match(at('--duration', '5m', '--clients=1000', '--rounds', '100'), {
    ...{ durationMs: 300_000, warmUpMs: 1_000, clients: 1_000, rounds: 100 },
  })

  const times = 'expected a time from 100ms to 5m, got'
  const clients = 'expected a number from 1 to 1000, got'
  const rounds = 'expected a number from 1 to 100, got'
  for (const [words, message] of [
    [['--duration', '99ms'], `--duration: ${times} "99ms"; write for example --duration 3s`],
    [['--duration', '301s'], `--duration: ${times} "301s"; write for example --duration 3s`],
    [['--duration', '3'], `--duration: ${times} "3"; write for example --duration 3s`],
    [['--duration', ''], `--duration: ${times} nothing; write for example --duration 3s`],
    [['--clients', '0'], `--clients: ${clients} "0"; write for example --clients 16`],
    [['--clients', '1001'], `--clients: ${clients} "1001"; write for example --clients 16`],
    [['--rounds', '0'], `--rounds: ${rounds} "0"; write for example --rounds 3`],
    [['--rounds', '101'], `--rounds: ${rounds} "101"; write for example --rounds 3`],
    [['--rounds', '1.5'], `--rounds: ${rounds} "1.5"; write for example --rounds 3`],
    [['--rounds', '1', '--rounds', '2'], '--rounds: given more than once; give it once'],
    [['--round', '1'], '--round: unknown flag; did you mean --rounds?'],
    [['-x'], '-x: unknown flag; see postern bench --help'],
    [['other.sh'], 'other.sh: one script at a time; see postern bench --help'],
  ] as const) {
    t.throws(() => at(...words), { name: 'ConfigError', message }, words.join(' '))
  }
})

t.test('what is no program is refused', async t => {
  const { root } = site(t)
  t.throws(() => readBenchFlags([root.cgi]), { name: 'ConfigError', message: /: not a script; / })
  const file = join(root.cgi, 'hello.sh')
  chmodSync(file, 0o644)
  t.throws(() => readBenchFlags([file]), {
    name: 'ConfigError',
    message: `${file}: not readable and executable; chmod +rx ${file}`,
  })
})

t.test('an app of postern/fastcgi has both modes, and so has the example', async t => {
  const { root } = site(t)
  const modes = (...words: string[]) => readBenchFlags(words)?.options.subject.modes
  t.same(modes(join(root.cgi, 'app.mjs')), ['cgi', 'fastcgi'])
  t.same(modes(join(root.cgi, 'script.mjs')), ['cgi'])
  t.same(modes(), ['cgi', 'fastcgi'])
})
