/** `postern serve` as a user sees it: banner, answers, signals. */
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { isAlive, untilEnded } from '../support/processes.js'
import { tempRoot } from '../support/temp-root.js'
import { within } from '../support/wait-for.js'
import { get, postern, waitingScript } from './command.js'

const hello = '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\nhello"\n'

t.test('promise 1: without a configuration, the folder is served', async t => {
  const root = tempRoot(t, { 'hello.cgi': hello, 'broken.sh': 'exit\n' })
  const command = postern(t, root.path, ['-p', '0'])
  const origin = await command.origin()
  t.match(origin, /^http:\/\/127\.0\.0\.1:[1-9]\d*$/, 'the real port, not 0')
  t.same(await get(`${origin}/cgi-bin/hello.cgi`), { status: 200, body: 'hello' })
  await command.printed(/GET \/cgi-bin\/hello\.cgi/)
  const banner = command.stdout()
  t.match(banner, /^Postern \d+\.\d+\.\d+ on http/)
  t.match(banner, /\n {2}processes start by (posix_spawn|child_process)/)
  t.match(banner, `\n  / files in ${root.public}\n`)
  t.match(banner, `\n  /cgi-bin/ scripts in ${root.cgi}, 64 at once\n`)
  t.match(banner, /\n {4}\/cgi-bin\/hello\.cgi +#!\/bin\/sh\n/)
  t.match(banner, /\n {4}\/cgi-bin\/broken\.sh +cannot run: no #! line; begin the script with/)
  t.equal(command.stderr(), '', 'nothing to complain about')
})

t.test('a folder may be named, with and without serve', async t => {
  const root = tempRoot(t, { 'hello.cgi': hello })
  for (const words of [['serve', root.path], [root.path]]) {
    const command = postern(t, '/', ['-p0', ...words])
    t.equal((await get(`${await command.origin()}/cgi-bin/hello.cgi`)).body, 'hello')
  }
})

t.test('the configuration in the folder is used, and flags win over it', async t => {
  const config = 'listen: 127.0.0.1:1\nroutes: [{ path: /run, cgi: ../cgi-bin }]\n'
  const root = tempRoot(t, { 'hello.cgi': hello }, { 'postern.yaml': config })
  const command = postern(t, root.path, ['public', '--port=0', '--root', 'public'])
  const origin = await command.origin()
  await command.printed(/configured by public\/postern\.yaml/)
  t.equal((await get(`${origin}/run/hello.cgi`)).body, 'hello')
  t.equal((await get(`${origin}/postern.yaml`)).status, 404, 'it is never served itself')
})

t.test('-c names a configuration; a socket is named in the banner', async t => {
  const root = tempRoot(t, { 'hello.cgi': hello })
  root.script('site.json', '{ "listen": "unix:run.sock", "root": "." }')
  const command = postern(t, root.path, ['-c', 'cgi-bin/site.json'])
  await command.printed(/configured by cgi-bin\/site\.json/)
  t.match(command.stdout(), ` on unix:${join(root.cgi, 'run.sock')}\n`)
})

t.test('log.access: json makes the log JSON as well', async t => {
  const root = tempRoot(t)
  const command = postern(t, root.path, ['-p', '0', '--log-access', 'json'])
  const origin = await command.origin()
  await get(`${origin}/nothing`)
  const line = await command.printed(/^(\{.*\/nothing.*\})$/m)
  t.match(JSON.parse(line), { status: 404 })
  command.signal('SIGTERM')
  const { stderr } = await command.ended
  t.match(JSON.parse(stderr), { signal: 'SIGTERM', pid: command.pid })
})

t.test('F-8: SIGTERM and SIGINT let running requests finish, then exit 0', async t => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const root = tempRoot(t)
    root.script('wait.cgi', waitingScript(root.notes))
    const command = postern(t, root.path, ['-p', '0'])
    const origin = await command.origin()
    const answer = get(`${origin}/cgi-bin/wait.cgi`)
    await root.note('started')
    command.signal(signal)
    await command.logged(/^info stopping when the running requests are done/m)
    await t.rejects(get(origin), 'no new connections')
    root.leave('go')
    t.same(await answer, { status: 200, body: 'done' })
    const { code, stdout } = await within('postern has ended', command.ended)
    t.equal(code, 0)
    t.match(stdout, /GET \/cgi-bin\/wait\.cgi/, 'the last access line is written')
  }
})

t.test('a second signal ends programs and server at once', async t => {
  for (const [signal, exitCode] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    const root = tempRoot(t)
    root.script('wait.cgi', waitingScript(root.notes))
    const command = postern(t, root.path, ['-p', '0'])
    const answer = get(`${await command.origin()}/cgi-bin/wait.cgi`).catch(() => 'broken off')
    const pid = Number(await root.note('started'))
    t.ok(isAlive(pid))
    command.signal('SIGTERM')
    await command.logged(/^info stopping/m)
    command.signal(signal)
    const { code } = await within('postern has ended', command.ended)
    t.equal(code, exitCode)
    await untilEnded(pid)
    await answer
  }
})

t.test('a reader of stdout that has gone does not end the server', async t => {
  const root = tempRoot(t, { 'hello.cgi': hello })
  const command = postern(t, root.path, ['-p', '0'])
  const origin = await command.origin()
  command.closeStdout()
  for (let i = 0; i < 5; i++) {
    t.equal((await get(`${origin}/cgi-bin/hello.cgi`)).body, 'hello')
  }
  command.signal('SIGTERM')
  t.equal((await within('postern has ended', command.ended)).code, 0)
})

t.test('a socket file is reachable by its path', async t => {
  const root = tempRoot(t, { 'hello.cgi': hello })
  root.script('c.yaml', 'listen: unix:s.sock\nroutes: [{ path: /, cgi: . }]\n')
  const command = postern(t, root.cgi, ['-c', 'c.yaml'])
  await command.printed(/on unix:/)
  const socket = connect(join(root.cgi, 's.sock'))
  t.teardown(() => socket.destroy())
  socket.write('GET /hello.cgi HTTP/1.0\r\n\r\n')
  let answer = ''
  for await (const chunk of socket) answer += chunk
  t.match(answer, /^HTTP\/1\.1 200 [\s\S]*hello$/)
})
