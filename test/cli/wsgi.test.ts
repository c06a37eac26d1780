/** `postern wsgi` as a user sees it: flags, banner, answers, a start that fails, signals; and `serve` with a wsgi flag. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { readWsgiFlags } from '../../src/cli/wsgi-flags.js'
import { children, commandOf, untilGone } from '../support/processes.js'
import { pythonWith } from '../support/python.js'
import { tempRoot } from '../support/temp-root.js'
import { within } from '../support/wait-for.js'
import { type Command, get, postern, runPostern } from './command.js'

const python = pythonWith(t) ?? ''
const skip = python === ''

const source = `import sys

def application(environ, start_response):
    print("printed", environ["PATH_INFO"])
    print("complained", file=environ["wsgi.errors"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['SCRIPT_NAME']} {environ['PATH_INFO']} {environ['wsgi.multithread']}".encode()]
`

/** A folder with `app.py`. */
function folder(t: Test): string {
  const { path } = tempRoot(t)
  writeFileSync(join(path, 'app.py'), source)
  return path
}

function serve(t: Test, cwd: string, ...words: readonly string[]): Command {
  const command = postern(t, cwd, words, { PYTHONDONTWRITEBYTECODE: '1', XDG_RUNTIME_DIR: cwd })
  t.teardown(async () => {
    command.signal('SIGTERM')
    await within('postern has ended', command.ended)
  })
  return command
}

const hosts = (pid: number): number[] =>
  children(pid).filter(each => commandOf(each).includes('host.py'))

t.test(
  'an application from a module in this folder; TERM ends all in good order',
  { skip },
  async t => {
    const words = ['wsgi', 'app:application', '-p', '0', '-n', '3', '--threads', '2']
    const command = serve(t, folder(t), ...words, '--python', python)
    const origin = await command.origin()
    t.same(await get(`${origin}/a/b?c`), { status: 200, body: ' /a/b True' })
    await command.printed(/WSGI application app:application in .* by 3 workers of /)
    await command.printed(/"GET \/a\/b\?c HTTP\/1\.1" 200/)
    await command.logged(/info printed \/a\/b .*worker=/)
    await command.logged(/warn complained .*id=/)
    const workers = hosts(command.pid)
    t.equal(workers.length, 3)
    command.signal('SIGTERM')
    t.equal((await within('postern has ended', command.ended)).code, 0)
    for (const pid of workers) await untilGone(pid)
  },
)

t.test('another folder; serve with the application below a prefix', { skip }, async t => {
  const path = folder(t)
  const { path: elsewhere } = tempRoot(t)
  const one = serve(t, elsewhere, 'wsgi', 'app:application', '-p', '0', '--directory', path)
  t.match(await get(`${await one.origin()}/x`), { status: 200, body: ' /x False' })
  const two = serve(t, path, 'serve', '-p', '0', '--wsgi', '/py/=app:application')
  t.match(await get(`${await two.origin()}/py/x`), { status: 200, body: '/py /x False' })
})

t.test(
  'I-15, I-16 a start that fails: exit status 1 and the reason, line by line',
  { skip },
  async t => {
    const path = folder(t)
    writeFileSync(join(path, 'broken.py'), 'def f():\n    raise LookupError("at boot")\n\nf()\n')
    const broken = await runPostern(t, path, ['wsgi', 'broken:app', '-p', '0', '--python', python])
    t.equal(broken.code, 1)
    t.match(
      broken.stderr,
      /\npostern: \/: the worker .* did not start: it ended with exit status 4 before it was ready; the end of its stderr:\nTraceback .*\n {2}File ".*broken\.py", line 4, in <module>\n(?:.*\n)+LookupError: at boot\n/,
    )
    const typo = await runPostern(t, path, [
      'wsgi',
      'app:aplication',
      '-p',
      '0',
      '--python',
      python,
    ])
    t.equal(typo.code, 1)
    t.match(typo.stderr, 'app has no aplication. Did you mean app:application?')
  },
)

t.test('flags', async t => {
  t.match(readWsgiFlags(['a.b:c', '-n', '4', '-H', '0.0.0.0', '--dev'], '1'), {
    ...{ application: 'a.b:c', workers: 4, threads: undefined, host: '0.0.0.0', port: 8000 },
    ...{ directory: process.cwd(), python: undefined, dev: true },
  })
  for (const [words, said] of [
    [[], 'wsgi: the application is missing; write module:callable, for example app:application'],
    [
      ['app'],
      'wsgi: expected module:callable, got "app"; write module:callable, for example app:application',
    ],
    [['app.py:app', 'more'], 'more: one application at a time; see postern wsgi --help'],
    [
      ['a:b', '-n', '0'],
      '--workers: expected a number from 1 to 1024, got "0"; write for example -n 4',
    ],
    [
      ['a:b', '-n', '1025'],
      '--workers: expected a number from 1 to 1024, got "1025"; write for example -n 4',
    ],
    [
      ['a:b', '--threads', 'x'],
      '--threads: expected a number from 1 to 1024, got "x"; write for example --threads 4',
    ],
    [['a:b', '--thread', '2'], '--thread: unknown flag; did you mean --threads?'],
    [
      ['a:b', '--directory', '/nowhere'],
      '--directory: there is no folder /nowhere; create it, or correct the path',
    ],
  ] as const) {
    t.throws(() => readWsgiFlags(words, '1'), { message: said }, words.join(' '))
  }
})

t.test('an interpreter that is not there', async t => {
  const { code, stderr } = await runPostern(t, folder(t), ['wsgi', 'app:app', '--python', './venv'])
  t.equal(code, 2)
  t.match(stderr, /^postern: --python: there is no interpreter \.\/venv; install it, or name .*\n$/)
})
