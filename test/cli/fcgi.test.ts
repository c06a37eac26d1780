/** `postern fcgi` as a user sees it: flags, banner, workers behind a shared socket, signals. */
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { readFcgiFlags } from '../../src/cli/fcgi-flags.js'
import { parseListen } from '../../src/server/address.js'
import { children, isAlive, untilGone } from '../support/processes.js'
import { type TempRoot, tempRoot } from '../support/temp-root.js'
import { waitFor, within } from '../support/wait-for.js'
import { say, workerProgram } from '../worker/line-workers.js'
import { type Command, postern, runPostern } from './command.js'

const worker = (behaviour: string, ...more: string[]): string[] => [
  ...['--', process.execPath, workerProgram, behaviour, ...more],
]

/** `postern fcgi`, ended in good order: killed, it would leave its workers behind. */
function fcgi(t: Test, root: TempRoot, words: readonly string[], env: NodeJS.ProcessEnv): Command {
  const command = postern(t, root.path, ['fcgi', ...words], { XDG_RUNTIME_DIR: root.path, ...env })
  t.teardown(async () => {
    command.signal('SIGTERM')
    await within('postern has ended', command.ended)
  })
  return command
}

/** Pids in the banner. */
async function pidsOf(command: Command): Promise<number[]> {
  const list = await command.printed(/workers? of .* \((\d+(?:, \d+)*)\)\n/)
  return list.split(', ').map(Number)
}

async function started(t: Test, words: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const root = tempRoot(t)
  const path = join(root.path, 'app.sock')
  const command = fcgi(t, root, ['-s', 'unix:app.sock', ...words], env)
  const pids = await pidsOf(command)
  return { root, path, command, pids, address: { kind: 'unix', path } as const }
}

t.test('workers share the socket, with their environment; TERM ends all in good order', async t => {
  const { root, path, command, pids, address } = await started(
    t,
    ['-n', '2', '--env', 'App_Mode=a=b', '--directory', '/', ...worker('plain')],
    { HOME: '/home/somebody', SECRET: 'x' },
  )
  t.equal(pids.length, 2)
  t.match(command.stdout(), ` on unix:${path}: 2 workers of `)
  t.same(
    children(command.pid)
      .filter(pid => pids.includes(pid))
      .sort(),
    [...pids].sort(),
  )
  t.equal(statSync(path).mode & 0o777, 0o660)
  t.ok(pids.includes(Number(await say(address, 'hello'))))
  const env = JSON.parse(await say(address, 'env'))
  t.match(env, { App_Mode: 'a=b', HOME: '/home/somebody', PATH: /./ })
  t.notOk('SECRET' in env || 'FCGI_WEB_SERVER_ADDRS' in env || 'XDG_RUNTIME_DIR' in env)
  await command.logged(/^info listening in \/ worker=node-1 pid=\d+$/m)
  command.signal('SIGTERM')
  const { code } = await within('postern has ended', command.ended)
  t.equal(code, 0)
  for (const pid of pids) await untilGone(pid)
  t.notOk(existsSync(path))
  t.notOk(existsSync(join(root.path, 'app.sock')))
})

t.test('a port: the real one is in the banner', async t => {
  const root = tempRoot(t)
  const command = fcgi(t, root, ['-n1', '-s', 'tcp:127.0.0.1:0', ...worker('plain')], {})
  const address = parseListen(await command.printed(/ on (127\.0\.0\.1:[1-9]\d*): 1 worker of /))
  t.equal(address?.kind, 'tcp')
  if (address !== undefined) t.match(await say(address, 'hello'), /^\d+$/)
})

t.test('a second signal ends deaf workers at once', async t => {
  const { command, pids, path } = await started(t, ['-n1', '--grace', '60s', ...worker('deaf')])
  command.signal('SIGTERM')
  await command.logged(/TERM\? no/)
  t.ok(isAlive(pids[0] ?? 0))
  command.signal('SIGINT')
  t.equal((await within('postern has ended', command.ended)).code, 130)
  for (const pid of pids) await untilGone(pid)
  t.notOk(existsSync(path))
})

t.test('a worker that dies is replaced, and the log says how it ended', async t => {
  const { command, pids, address } = await started(t, ['-n1', ...worker('plain')])
  await say(address, 'exit 7').catch(() => {})
  await command.logged(/^error a worker failed worker=node-1 pid=\d+ .*exit status 7/m)
  const next = await within('another answers', say(address, 'hello'))
  t.not(Number(next), pids[0])
})

t.test('HUP and `postern reload` replace the workers, one after another', async t => {
  const { root, command, pids, address } = await started(t, ['-n2', ...worker('plain')])
  command.signal('SIGHUP')
  await command.logged(/the workers are replaced/)
  for (const pid of pids) await untilGone(pid)
  const second = Number(await say(address, 'hello'))
  t.notOk(pids.includes(second))
  const env = { XDG_RUNTIME_DIR: root.path }
  const reload = await runPostern(t, root.path, ['reload'], env)
  t.equal(reload.stdout, `process ${command.pid} replaces its workers\n`)
  t.equal(reload.code, 0)
  await untilGone(second)
  t.match(await say(address, 'hello'), /^\d+$/)
})

t.test('workers that never become ready: exit code 1 with their stderr', async t => {
  const root = tempRoot(t)
  const words = ['fcgi', '-n2', '-s', 'unix:app.sock', ...worker('fail')]
  const { code, stderr, stdout } = await runPostern(t, root.path, words)
  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(
    stderr,
    /^postern: the worker \S+ \S+worker-line\.mjs fail did not start: it ended with exit status 3 before it was ready; the end of its stderr:\nreading the settings\nno data base at 127\.0\.0\.1:5432\n$/m,
  )
  t.notOk(existsSync(join(root.path, 'app.sock')))
})

t.test('a signal during the start ends what was started', async t => {
  const root = tempRoot(t)
  const command = fcgi(t, root, ['-s', 'unix:app.sock', ...worker('mute')], {})
  const pids = await waitFor('workers run', () => {
    const found = children(command.pid).filter(pid => isAlive(pid))
    return existsSync(join(root.path, 'app.sock')) && found.length >= 4 ? found : undefined
  })
  command.signal('SIGTERM')
  await within('postern has ended', command.ended)
  for (const pid of pids) await untilGone(pid)
  t.notOk(existsSync(join(root.path, 'app.sock')))
})

t.test('--watch: a changed file replaces the workers', async t => {
  const { root, command, pids } = await started(t, ['-n1', '--watch', ...worker('plain')])
  writeFileSync(join(root.path, 'app.mjs'), '')
  await command.logged(/^info a file has changed: the workers are replaced file=\S+app\.mjs$/m)
  await untilGone(pids[0] ?? 0)
})

t.test('mistakes of flags name the flag and what to write', async t => {
  const s = ['-s', 'unix:app.sock']
  const run = ['--', '/bin/true']
  const table: readonly (readonly [words: readonly string[], line: RegExp])[] = [
    [run, /^--socket: expected an address, got nothing; write for example -s unix:/],
    [
      ['-s', '/run/x', ...run],
      /^--socket: expected an address, got "\/run\/x"; .* -s unix:\/run\/x$/,
    ],
    [s, /^fcgi: the command of the workers is missing; write it last: -- \.\/app\.fcgi$/],
    [[...s, '-n', '0', ...run], /^--workers: expected a number from 1 to 1024, got "0"/],
    [[...s, '-n', '1025', ...run], /^--workers: expected a number from 1 to 1024/],
    [[...s, '-n', 'two', ...run], /^--workers: expected a number/],
    [[...s, '-n4', '--max', '3', ...run], /^--max: 3 is less than the 4 of --workers/],
    [[...s, '--spare', '1', ...run], /^--spare: says nothing about a fixed number.*; add --max 8$/],
    [[...s, '--idle', '60', '--max', '9', ...run], /^--idle: expected a duration, got "60"/],
    [[...s, '--recycle-memory', '1XB', ...run], /^--recycle-memory: expected a size, got "1XB"/],
    [
      [...s, '--recycle-requests', '9', ...run],
      /^--recycle-requests: .* not seen here; use --recycle-age/,
    ],
    [[...s, '--grace', '1', '--grace', '2', ...run], /^--grace: given more than once/],
    [[...s, '--env', 'X', ...run], /^--env: expected NAME=value, got "X"/],
    [[...s, '--wach', ...run], /^--wach: unknown flag; did you mean --watch\?$/],
  ]
  for (const [words, message] of table) {
    t.throws(() => readFcgiFlags(words, '0'), { name: 'ConfigError', message }, words.join(' '))
  }
})

t.test('what flags become', async t => {
  const read = (...words: string[]) => readFcgiFlags(['-s', '9000', ...words], '0')
  t.match(read('./app', '-x', '--', 'y'), {
    address: { kind: 'tcp', host: '127.0.0.1', port: 9000 },
    command: ['./app', '-x', '--', 'y'],
    workers: { count: { min: 4, max: 4, spare: 0 }, graceMs: 3_000, watch: [] },
  })
  t.match(read('--max', '2', 'x')?.workers.count, { min: 2, max: 2 })
  t.match(read('-n1', '--max=8', '--spare=2', '--idle=5s', '--', 'x')?.workers.count, {
    ...{ min: 1, max: 8, spare: 2, idleMs: 5_000 },
  })
  t.match(read('--recycle-age', '1h', '--recycle-memory', '512MiB', 'x')?.workers.recycling, {
    ...{ requests: 0, ageMs: 3_600_000, memoryBytes: 512 * 1024 ** 2 },
  })
  t.match(read('--watch', '--directory', '/srv', 'x')?.workers, {
    directory: '/srv',
    watch: ['/srv'],
  })
})

t.test('what cannot be followed: one line with the cause, exit code 2', async t => {
  const root = tempRoot(t, {
    'plain.txt': { content: 'x', mode: 0o644 },
    'gone.sh': '#!/no/such\n',
  })
  writeFileSync(join(root.path, 'file'), 'x')
  const s = ['-s', 'unix:app.sock']
  const run = ['--', '/bin/true']
  const table: readonly (readonly [words: readonly string[], line: RegExp])[] = [
    [[...s, '--directory', 'no', ...run], /^--directory: there is no folder \S+\/no; create it/],
    [[...s, '--', 'no-such'], /^no-such: there is no such program on PATH; install it/],
    [[...s, '--', './no'], /^\.\/no: there is no such program; correct the path$/],
    [
      [...s, '--', 'cgi-bin/plain.txt'],
      /^cgi-bin\/plain\.txt: it may not be executed; chmod \+x cgi-bin\/plain\.txt$/,
    ],
    [
      [...s, '--', 'cgi-bin/gone.sh'],
      /^cgi-bin\/gone\.sh: it cannot be executed \(ENOENT\); the program after #!/,
    ],
    [
      ['-s', 'unix:no/s', ...run],
      /^--socket: cannot listen on unix:\S+: ENOENT; create the folder/,
    ],
    [['-s', 'unix:file', ...run], /^--socket: cannot listen on unix:\S+: EADDRINUSE; stop the/],
  ]
  for (const [words, line] of table) {
    const { code, stderr, stdout } = await runPostern(t, root.path, ['fcgi', ...words])
    const lines = stderr.split('\n').filter(text => !text.startsWith('error a worker failed'))
    t.match(lines[0]?.replace(/^postern: /, ''), line)
    t.same([code, stdout, lines.length], [2, '', 2], words.join(' '))
  }
  const node = await runPostern(t, root.path, ['fcgi', ...s, ...run], { POSTERN_SPAWN: 'node' })
  t.match(
    node.stderr,
    /^postern: fcgi: workers need a blocking socket.*POSTERN_SPAWN=node.*; install/,
  )
  t.equal(node.code, 2)
})

t.test('--help says how', async t => {
  const { code, stdout } = await runPostern(t, '/', ['fcgi', '--help'])
  t.equal(code, 0)
  t.match(stdout, /-s ADDRESS \[flags\] -- COMMAND/)
})
