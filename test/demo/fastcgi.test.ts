/**
 * The example app in every mode, as `npm start` and examples/postern.yaml serve it: real command, real workers.
 *
 * The app imports the library by the package's own name, which is the build in `dist/`: `npm test` makes it.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Script } from 'node:vm'
import t, { type Test } from 'tap'
import { chooseSpawner } from '../../src/process/choose.js'
import { type Command, get, postern } from '../cli/command.js'
import { netstring, ScgiPeer } from '../scgi/responder-peer.js'
import { demoFiles } from '../support/demo.js'
import { startOnSocket } from '../support/fastcgi-process.js'
import { missing } from '../support/peers.js'
import { descendants, isAlive, untilEnded } from '../support/processes.js'
import { waitFor, within } from '../support/wait-for.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

interface Said {
  readonly mode: string
  readonly pid: number
  readonly answers: number
}

/** `postern serve` at a free port. */
const serve = (t: Test, words: readonly string[]) => run(t, [...words, '-p', '0'])

/** The command in the folder of the project; undefined (and a skip) where there can be no workers. */
async function run(t: Test, words: readonly string[]): Promise<Command | undefined> {
  if (!existsSync(`${root}/dist/fastcgi.js`)) throw new Error('dist is not built: npm run build')
  const { spawner } = await chooseSpawner(process.env)
  if (spawner.name === 'node') {
    missing(t, 'koffi')
    return undefined
  }
  const command = postern(t, root, words)
  t.teardown(async () => {
    // Not killed: workers outlive a server that was.
    command.signal('SIGTERM')
    await within('it has ended', command.ended, 30_000)
  })
  return command
}

async function ask(origin: string, path: string): Promise<Said> {
  const { status, body } = await get(origin + path)
  if (status !== 200) throw new Error(`${path}: ${status} ${body}`)
  return JSON.parse(body)
}

for (const [what, words] of [
  ['the demo', []],
  ['examples/postern.yaml', ['-c', 'examples/postern.yaml']],
] as const) {
  t.test(`${what}: a process for each request, and workers that stay`, async t => {
    const command = await serve(t, words)
    if (command === undefined) return
    const origin = await command.origin()

    const first = await ask(origin, '/cgi/app/json')
    const second = await ask(origin, '/cgi/app/json')
    t.match(first, { mode: 'CGI', answers: 1 })
    t.match(second, { mode: 'CGI', answers: 1 })
    t.not(first.pid, second.pid)
    await untilEnded(second.pid)

    const said: Said[] = []
    for (let i = 0; i < 5; i++) said.push(await ask(origin, '/fastcgi/app/json'))
    const pids = new Set(said.map(({ pid }) => pid))
    t.ok(said.every(({ mode }) => mode === 'FastCGI'))
    t.ok(pids.size <= 2, `${pids.size} workers`)
    t.ok((said.at(-1)?.answers ?? 0) >= 3, 'a worker counts')
    for (const pid of pids) t.ok(isAlive(pid))
    command.signal('SIGTERM')
    await within('the server has ended', command.ended)
    for (const pid of pids) await untilEnded(pid)
  })
}

t.test('what bench asks for is the same in every mode', async t => {
  const command = await serve(t, [])
  if (command === undefined) return
  const origin = await command.origin()
  for (const mode of ['cgi', 'fastcgi']) {
    t.same(await get(`${origin}/${mode}/app/hello?name=W%C3%B6rld`), {
      status: 200,
      body: '{"hello":"Wörld"}\n',
    })
    t.equal((await get(`${origin}/${mode}/app/hello`)).body, '{"hello":"stranger"}\n')
  }
})

t.test('the page of the app: with and without a slash, and its form', async t => {
  const command = await serve(t, [])
  if (command === undefined) return
  const origin = await command.origin()
  for (const [mode, title] of [
    ['cgi', 'CGI'],
    ['fastcgi', 'FastCGI'],
  ]) {
    for (const path of [`/${mode}/app`, `/${mode}/app/`]) {
      const { status, body } = await get(origin + path)
      t.equal(status, 200)
      t.match(body, `This is the app as <b>${title}</b>`)
      t.match(body, `<a href="/${mode}/app/json">`)
      t.match(body, `<form method="post" action="/${mode}/app/">`)
    }
    const response = await fetch(`${origin}/${mode}/app/`, {
      method: 'POST',
      body: new URLSearchParams({ name: '<b>"Zoë" & co</b>' }),
    })
    t.match(await response.text(), '<h1>Hello, &#60;b&#62;&#34;Zoë&#34; &#38; co&#60;/b&#62;</h1>')
  }
})

t.test('postern bench measures the example in both modes and leaves nothing', async t => {
  const brief = ['bench', '--json', '--duration', '300ms', '--clients', '2']
  const command = await run(t, [...brief, '--rounds', '1'])
  if (command === undefined) return
  const { code, stdout } = await within('it has ended', command.ended, 60_000)
  t.equal(code, 0)
  const result = JSON.parse(stdout)
  t.match(result, {
    comparison: 'body',
    answer: { status: 200, type: 'application/json', length: 18 },
    skipped: [],
    complete: true,
  })
  for (const mode of result.modes) t.match(mode.rounds, [{ errors: 0, wrong: 0 }], mode.title)
  t.match(result.verdict, /^FastCGI carries [\d.]+ times as many requests as CGI; /)

  const ending = await run(t, [...brief, '--rounds', '100'])
  await ending?.logged(/^round 1 of 100: FastCGI/m)
  const below = ending === undefined ? [] : descendants(ending.pid)
  t.ok(below.length >= 3, 'servers, a load generator, workers')
  ending?.signal('SIGINT')
  const ended = await within('it has ended', Promise.resolve(ending?.ended), 30_000)
  t.equal(ended?.code, 130)
  t.match(JSON.parse(ended?.stdout ?? ''), { complete: false, modes: [{ rounds: [{}] }, {}] })
  for (const pid of below) await untilEnded(pid)
})

t.test('the start page links both, and its script is one', async t => {
  const page = readFileSync(`${demoFiles}/index.html`, 'utf8')
  for (const mode of ['cgi', 'fastcgi']) {
    t.match(page, `<a href="/${mode}/app/">`)
    t.match(page, `<output data-times="/${mode}/app/json">`)
  }
  const [, script = ''] = /<script>([\s\S]*?)<\/script>/.exec(page) ?? []
  t.ok(script.length > 100)
  t.doesNotThrow(() => new Script(script))
  t.notMatch(script, /https?:/, 'works without network')
})

t.test('the example as SCGI, on descriptor 0', async t => {
  const command = ['/usr/bin/env', 'SCGI=0', process.execPath, `${root}/examples/app.mjs`]
  const address = await startOnSocket(t, command)
  const peer = new ScgiPeer(t, address.kind === 'unix' ? address.path : address.port)
  peer.send(netstring({ REQUEST_URI: '/json' }))
  t.match(await peer.answer(), /"mode":"SCGI","pid":\d+,"answers":1/)
})

t.test('the example is executable and short', async t => {
  const app = `${root}/examples/app.mjs`
  t.equal(statSync(app).mode & 0o111, 0o111)
  t.ok(readFileSync(app, 'utf8').split('\n').length <= 60)
})

t.test('npm start goes without workers where there can be none', async t => {
  const child = spawn(process.execPath, ['scripts/start.mjs', '-p', '0'], {
    cwd: root,
    env: { PATH: process.env.PATH, POSTERN_SPAWN: 'node' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  t.teardown(async () => {
    child.kill('SIGTERM')
    await within('the demo has ended', ended)
  })
  const origin = await waitFor(`it listens: ${stderr}`, () => /on (http\S+)\/\s/.exec(stdout)?.[1])
  t.equal(stderr, 'The demo runs without its FastCGI workers: POSTERN_SPAWN=node.\n')
  t.equal((await get(`${origin}/`)).status, 200)
  t.equal((await get(`${origin}/cgi-bin/hello.sh`)).status, 200)
})
