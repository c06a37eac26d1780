/** `postern serve` with fastcgi routes: addresses, workers of its own, their start, reload and end. */
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { fastCgiApp } from '../support/fastcgi-route.js'
import { missing, peer } from '../support/peers.js'
import { children, commandOf, descendants, isAlive, untilEnded } from '../support/processes.js'
import { type TempRoot, tempRoot } from '../support/temp-root.js'
import { waitFor, within } from '../support/wait-for.js'
import { type Command, get, postern, runPostern } from './command.js'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** The folder with a configuration; relative paths begin there. */
function siteWith(t: Test, ...lines: readonly string[]): TempRoot {
  const root = tempRoot(t)
  root.script('postern.yaml', `listen: 127.0.0.1:0\n${lines.join('\n')}\n`)
  for (const name of ['tmp', 'run']) mkdirSync(join(root.path, name), { mode: 0o700 })
  return root
}

/** Folders of its own: for sockets, which are counted, and for the file with its pid. */
function environmentIn({ path }: TempRoot): NodeJS.ProcessEnv {
  return { TMPDIR: join(path, 'tmp'), XDG_RUNTIME_DIR: join(path, 'run') }
}

/** Serves the folder. */
function serve(t: Test, root: TempRoot, ...words: readonly string[]): Command {
  return postern(t, root.cgi, words, environmentIn(root))
}

/** What Postern has in its temporary folder: a folder of sockets for each route with workers. */
function socketFolders({ path }: TempRoot): string[] {
  return readdirSync(join(path, 'tmp')).filter(name => name.startsWith('postern-'))
}

/** Workers below a process, or below its server processes. tsx has a process of its own there too. */
function workersBelow(pid: number): number[] {
  return descendants(pid).filter(each => commandOf(each).includes('fastcgi-app'))
}

const app = `[${process.execPath}, ${fastCgiApp}]`

/** The fixture application at a socket, started by the test. */
async function appAt(t: Test, path: string): Promise<void> {
  const child = spawn(process.execPath, [fastCgiApp, path], { stdio: 'ignore' })
  t.teardown(() => void child.kill('SIGKILL'))
  await waitFor('the application listens', () => readdirSync(join(path, '..')).includes('a.sock'))
}

/** First word of an answer: the pid of who gave it. */
async function pidOf(url: string): Promise<number> {
  const { status, body } = await get(url)
  if (status !== 200) throw new Error(`${url}: ${status} ${body}`)
  return Number(body.split(' ')[0])
}

async function endsWell(t: Test, command: Command): Promise<void> {
  command.signal('SIGTERM')
  t.equal((await within('postern has ended', command.ended)).code, 0, 'exit code')
}

t.test('an application that runs already: from the configuration and from a flag', async t => {
  const root = siteWith(
    t,
    'routes:',
    '  - path: /app/',
    '    fastcgi: unix:a.sock',
    '    capacity: 3',
  )
  await appAt(t, join(root.cgi, 'a.sock'))
  const command = serve(t, root, '--fastcgi', '/flag=unix:a.sock')
  const origin = await command.origin()
  for (const path of ['/app/x', '/app', '/flag/']) {
    t.match(await get(origin + path), { status: 200, body: /^\d+ - 1 / }, path)
  }
  const socket = join(root.cgi, 'a.sock')
  await command.printed(new RegExp(`\n {2}/app/ FastCGI at unix:${socket}, 3 at once\n`))
  await command.printed(new RegExp(`\n {2}/flag/ FastCGI at unix:${socket}, 8 at once\n`))
  await endsWell(t, command)
})

t.test('G-24: workers of a command, with the variables of the route; nothing is left', async t => {
  const root = siteWith(
    t,
    'routes:',
    '  - path: /w/',
    `    fastcgi: { command: ${app}, workers: 2 }`,
    '    env: { set: { MARK: "a b", ASK: "SCRIPT_NAME,PATH_INFO,MARK" } }',
  )
  const command = serve(t, root)
  const origin = await command.origin()
  await command.printed(new RegExp(`\n {2}/w/ 2 workers of ${process.execPath} `))
  t.match((await get(`${origin}/w/x`)).body, /^\d+ a b 1 \/w \/x a b$/, 'L-5: in PARAMS too')
  const pids = workersBelow(command.pid)
  t.equal(pids.length, 2)
  t.ok(pids.includes(await pidOf(`${origin}/w/`)))
  t.equal(socketFolders(root).length, 1)
  await endsWell(t, command)
  for (const pid of pids) t.notOk(isAlive(pid))
  t.same(socketFolders(root), [])
})

t.test('a program of libfcgi', async t => {
  const gcc = peer(t, 'gcc')
  if (gcc === undefined) return
  const root = siteWith(
    t,
    'routes:',
    '  - path: /c/',
    '    fastcgi: { command: [./hello], workers: 1 }',
  )
  const source = new URL('../../bench/programs/worker.c', import.meta.url).pathname
  try {
    execFileSync(gcc, ['-O1', '-o', join(root.cgi, 'hello'), source, '-lfcgi'], { stdio: 'pipe' })
  } catch {
    missing(t, 'libfcgi')
    return
  }
  const command = serve(t, root)
  t.match(await get(`${await command.origin()}/c/`), { status: 200 })
  await endsWell(t, command)
})

t.test('a worker that never becomes ready ends the start, exit code 1', async t => {
  for (const words of [[], ['--processes', '2']]) {
    const root = siteWith(
      t,
      'routes:',
      `  - { path: /good/, fastcgi: { command: ${app}, workers: 1 } }`,
      '  - { path: /bad/, fastcgi: { command: [./bad, now], workers: 2 } }',
    )
    root.script('bad', '#!/bin/sh\necho "no database" >&2\necho "giving up" >&2\nexit 3\n')
    const env = environmentIn(root)
    const { code, stdout, stderr } = await runPostern(t, root.cgi, words, env)
    t.equal(code, 1)
    t.equal(stdout, '')
    const line = stderr.split('\n').find(text => text.startsWith('postern: '))
    t.match(line, `postern: /bad/: the worker ${join(root.cgi, 'bad')} now did not start: `)
    t.match(line, /exit status 3/)
    t.match(stderr, /^no database\ngiving up$/m)
    t.notMatch(stderr, /this is a bug/)
    t.same(socketFolders(root), [], 'the other route’s workers are gone')
  }
})

t.test('a signal while workers start ends both', async t => {
  for (const words of [[], ['--processes', '2']]) {
    const root = siteWith(
      t,
      `routes: [{ path: /w/, fastcgi: { command: [./deaf], workers: 1 }, env: { pass: [NOTES] } }]`,
    )
    root.script('deaf', '#!/bin/sh\necho $$ >"$NOTES/pid"\nexec sleep 600\n')
    const env = { ...environmentIn(root), NOTES: root.notes }
    const command = postern(t, root.cgi, words, env)
    const pid = Number(await root.note('pid'))
    command.signal('SIGTERM')
    const { code, stdout, stderr } = await within('postern has ended', command.ended)
    t.equal(code, 143)
    t.equal(stdout, '')
    t.match(stderr, /^postern: stopped by SIGTERM before it had started$/m)
    await untilEnded(pid)
    t.same(socketFolders(root), [])
  }
})

t.test('SIGHUP replaces the workers of all routes, also of several processes', async t => {
  for (const words of [[], ['--processes', '2']]) {
    const root = siteWith(
      t,
      'routes:',
      `  - { path: /a/, fastcgi: { command: ${app}, workers: 2 }, env: { set: { MARK: a } } }`,
      `  - { path: /b/, fastcgi: { command: ${app}, workers: 2 }, env: { set: { MARK: b } } }`,
    )
    const command = serve(t, root, ...words)
    const origin = await command.origin()
    const before = workersBelow(command.pid)
    t.equal(before.length, 4)
    command.signal('SIGHUP')
    await command.logged(/^info the workers are replaced/m)
    for (const pid of before) await untilEnded(pid)
    const after = workersBelow(command.pid)
    t.equal(after.length, 4)
    t.notOk(after.some(pid => before.includes(pid)))
    for (const path of ['/a/', '/b/']) t.ok(after.includes(await pidOf(origin + path)), path)
    await endsWell(t, command)
  }
})

t.test('postern reload in the same folder does the same', async t => {
  const root = siteWith(t, `routes: [{ path: /w/, fastcgi: { command: ${app}, workers: 1 } }]`)
  const command = serve(t, root)
  const origin = await command.origin()
  const before = await pidOf(`${origin}/w/`)
  await waitFor('the pid file', () => readdirSync(join(root.path, 'run'), { recursive: true })[1])
  t.match(await runPostern(t, root.cgi, ['reload'], environmentIn(root)), {
    code: 0,
    stdout: `process ${command.pid} replaces its workers\n`,
  })
  await command.logged(/^info the workers are replaced/m)
  t.not(await pidOf(`${origin}/w/`), before)
  await endsWell(t, command)
  t.same(readdirSync(join(root.path, 'run/postern')), [], 'the file is removed')
})

t.test('G-22: authorize on a cgi route', async t => {
  const root = siteWith(t, 'routes: [{ path: /, cgi: ., authorize: unix:a.sock }]')
  root.script('who.sh', '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n$WHO"\n')
  await appAt(t, join(root.cgi, 'a.sock'))
  const command = serve(t, root)
  const origin = await command.origin()
  t.match(await get(`${origin}/who.sh`), { status: 403, body: /^\d+ - 2 / }, 'its own answer')
  t.same(await get(`${origin}/who.sh`, { 'X-Key': 'open' }), { status: 200, body: 'visitor' })
  await endsWell(t, command)
})

t.test('SIGHUP under load loses no request', async t => {
  const root = siteWith(t, `routes: [{ path: /w/, fastcgi: { command: ${app}, workers: 2 } }]`)
  const command = serve(t, root, '--log-access', 'off')
  const origin = await command.origin()
  const answered = new Map<string, number>()
  let going = true
  const client = async (): Promise<void> => {
    while (going) {
      const { status, body } = await get(`${origin}/w/?slow`)
      const who = status === 200 ? (body.split(' ')[0] ?? '') : `${status} ${body}`
      answered.set(who, (answered.get(who) ?? 0) + 1)
    }
  }
  const clients = Array.from({ length: 6 }, client)
  await waitFor('both have answered', () => answered.size >= 2)
  for (const reload of [1, 2]) {
    command.signal('SIGHUP')
    const done = (): number => command.stderr().match(/the workers are replaced/g)?.length ?? 0
    await waitFor(`reload ${reload} is over`, () => done() === reload)
    await waitFor('the new ones have answered', () => answered.size >= 2 + 2 * reload)
  }
  going = false
  await within('the clients are done', Promise.all(clients))
  t.ok(
    [...answered.keys()].every(who => /^\d+$/.test(who)),
    [...answered.keys()].join(', '),
  )
  await endsWell(t, command)
})

t.test('SIGHUP to a server without workers changes nothing', async t => {
  const root = tempRoot(t)
  const command = postern(t, root.path, ['-p', '0'])
  const origin = await command.origin()
  command.signal('SIGHUP')
  await command.logged(/^info the workers are replaced/m)
  t.equal((await get(`${origin}/nothing`)).status, 404)
  await endsWell(t, command)
})

t.test(
  'L-12: with the scripts of a split route below the static root, no source is sent',
  async t => {
    const root = siteWith(
      t,
      'root: .',
      'routes: [{ path: /php/, fastcgi: unix:a.sock, root: app, split: .php }]',
    )
    root.script('app/index.php', '<?php secret')
    root.script('app/style.css', 'css')
    await appAt(t, join(root.cgi, 'a.sock'))
    const command = serve(t, root)
    const origin = await command.origin()
    t.same(await get(`${origin}/app/style.css`), { status: 200, body: 'css' })
    t.equal((await get(`${origin}/app/index.php`)).status, 404)
    await endsWell(t, command)
  },
)

t.test('SIGHUP because the terminal is gone ends the server', async t => {
  const script = peer(t, 'script')
  if (script === undefined) return
  const root = tempRoot(t)
  const words = [process.execPath, `--import=${import.meta.resolve('tsx')}`, main, '-p', '0']
  const terminal = spawn(script, ['-qec', `exec ${words.join(' ')}`, '/dev/null'], {
    cwd: root.path,
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  let shown = ''
  terminal.stdout.on('data', chunk => {
    shown += chunk
  })
  t.teardown(() => void terminal.kill('SIGKILL'))
  await waitFor('the banner', () => shown.includes('processes start by'))
  const [pid = 0] = children(terminal.pid ?? 0)
  t.ok(isAlive(pid))
  t.teardown(() => {
    if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  })
  terminal.kill('SIGKILL')
  await untilEnded(pid)
})
