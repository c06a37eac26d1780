/**
 * Mistakes of the user: one line on stderr with the place and the remedy, nothing on stdout, exit code 2.
 */
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { tempRoot } from '../support/temp-root.js'
import { runPostern } from './command.js'

async function refuses(
  t: Test,
  cwd: string,
  words: readonly string[],
  line: string,
  env: NodeJS.ProcessEnv = {},
): Promise<void> {
  const { code, stdout, stderr } = await runPostern(t, cwd, words, env)
  t.equal(stderr, `${line}\n`, words.join(' '))
  t.equal(code, 2, 'exit code')
  t.equal(stdout, '', 'stdout')
}

/** A port of 127.0.0.1 that somebody listens on. */
async function takenPort(t: Test): Promise<number> {
  const server: Server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

t.test('flags and words', async t => {
  const { path } = tempRoot(t)
  await refuses(t, path, ['--prot', '1'], 'postern: --prot: unknown flag; did you mean --port?')
  await refuses(
    t,
    path,
    ['serv'],
    'postern: serv: neither a folder nor a command; did you mean serve?',
  )
  await refuses(
    t,
    path,
    ['check'],
    'postern: check: the command check is not built yet; postern serve is; for a folder of this name write ./check',
  )
  await refuses(
    t,
    path,
    ['--scgi', '/s/=h'],
    'postern: --scgi: expected /prefix/=ADDRESS, got "/s/=h"; write for example --scgi /app/=unix:/run/app.sock or --scgi /app/=127.0.0.1:4000',
  )
  await refuses(
    t,
    path,
    ['--fastcgi', '/a/=/run/app.sock'],
    'postern: --fastcgi: expected /prefix/=ADDRESS, got "/a/=/run/app.sock"; write for example --fastcgi /app/=unix:/run/app.sock or --fastcgi /app/=127.0.0.1:9000',
  )
  await refuses(
    t,
    path,
    ['--root', 'nowhere'],
    'postern: --root: there is no folder nowhere; create it, or correct the path',
  )
})

t.test('mistakes in the configuration name file, line and column', async t => {
  const root = tempRoot(t)
  const write = (text: string): void => root.script('c.yaml', text)
  const words = ['-c', 'c.yaml']
  write('root: .\nroutess: []\n')
  await refuses(
    t,
    root.cgi,
    words,
    'postern: c.yaml:2:1: routess: unknown key; did you mean routes?',
  )
  write('timeouts:\n  head: 30\n')
  await refuses(
    t,
    root.cgi,
    words,
    'postern: c.yaml:2:9: timeouts.head: expected a duration, got 30; write for example 500ms, 30s, 5m, 1h, or 0 for none',
  )
  write('routes:\n  - path: /a/\n    cgi: nowhere\n')
  await refuses(
    t,
    root.cgi,
    words,
    `postern: c.yaml:3:10: routes[0].cgi: there is no folder or program ${root.cgi}/nowhere; create it, or correct the path`,
  )
  write('routes:\n  - path: /a/\n    scgi: /run/x\n')
  await refuses(
    t,
    root.cgi,
    words,
    'postern: c.yaml:3:11: routes[0].scgi: expected an address, got "/run/x"; write for example unix:/run/app.sock, tcp:127.0.0.1:9000, or 127.0.0.1:9000',
  )
  write('routes:\n  - path: /a/\n    fastcgi:\n      command: [./nowhere]\n')
  await refuses(
    t,
    root.cgi,
    words,
    `postern: c.yaml:4:17: routes[0].fastcgi.command[0]: there is no program ${root.cgi}/nowhere; install it, or correct the path`,
  )
  write('listen: 8000\n')
  await refuses(
    t,
    root.cgi,
    words,
    'postern: c.yaml: the configuration has neither root nor routes, so there is nothing to serve; add for example root: public',
  )
})

t.test('two configurations in one folder', async t => {
  const root = tempRoot(t)
  root.script('postern.yaml', 'root: .')
  root.script('postern.json', '{}')
  await refuses(
    t,
    root.path,
    ['cgi-bin'],
    'postern: cgi-bin: both cgi-bin/postern.yaml and cgi-bin/postern.json are here; remove one of them, or name one with -c',
  )
})

t.test('a port that is taken: the place that named it, and another port', async t => {
  const root = tempRoot(t)
  const port = await takenPort(t)
  const taken = `127.0.0.1:${port} is taken by another process; use -p ${port + 1}, or stop that process`
  await refuses(t, root.path, ['-p', `${port}`], `postern: --port: ${taken}`)
  root.script('c.yaml', `root: .\nlisten:\n  - 127.0.0.1:0\n  - 127.0.0.1:${port}\n`)
  await refuses(t, root.cgi, ['-c', 'c.yaml'], `postern: c.yaml:4:5: ${taken}`)
  await refuses(t, root.cgi, ['-c', 'c.yaml', '--processes', '2'], `postern: c.yaml:4:5: ${taken}`)
})

t.test('a socket in a folder that is not there', async t => {
  const root = tempRoot(t)
  root.script('c.yaml', 'root: .\nlisten: unix:nowhere/x.sock\n')
  const socket = join(root.cgi, 'nowhere/x.sock')
  await refuses(
    t,
    root.cgi,
    ['-c', 'c.yaml'],
    `postern: c.yaml:2:9: unix:${socket} cannot be made: its folder does not exist or may not be written; create it, change its permissions, or name another path`,
  )
})

t.test('a way of starting processes that does not exist', async t => {
  const { path } = tempRoot(t)
  const { code, stderr } = await runPostern(t, path, ['-p', '0'], { POSTERN_SPAWN: 'vfork' })
  t.equal(code, 2)
  t.match(stderr, /^postern: POSTERN_SPAWN is "vfork".*\n$/)
})

t.test('help and version go to stdout', async t => {
  const { path } = tempRoot(t)
  const help = await runPostern(t, path, ['--help'])
  t.match(help, { code: 0, stderr: '' })
  for (const flag of [
    '-p, --port',
    '-H, --host',
    '-c, --config',
    '--cgi-bin',
    '--root',
    '--fastcgi',
    '--scgi',
    '--uwsgi',
    '--proxy',
    '--wsgi',
    '--dev',
    '--processes',
    '--log-access',
    '--log-level',
  ]) {
    t.match(help.stdout, flag)
  }
  t.match(await runPostern(t, path, ['--version']), { code: 0, stdout: /^\d+\.\d+\.\d+\n$/ })
})
