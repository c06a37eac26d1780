/** libfcgi workers under `postern fcgi`, behind nginx and alone: answers, reloads, more when they are busy. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { type Command, postern } from '../cli/command.js'
import { missing, peer } from '../support/peers.js'
import { children, isAlive, untilGone } from '../support/processes.js'
import { type TempRoot, tempRoot } from '../support/temp-root.js'
import { waitFor, within } from '../support/wait-for.js'

const source = fileURLToPath(new URL('../fixtures/programs/worker-libfcgi.c', import.meta.url))

/** The compiled worker, or undefined where there is no compiler or no libfcgi. */
function compile(t: Test, root: TempRoot): string | undefined {
  const gcc = peer(t, 'gcc')
  if (gcc === undefined) return undefined
  const program = join(root.path, 'worker')
  try {
    execFileSync(gcc, ['-O1', '-o', program, source, '-lfcgi'], { stdio: 'pipe' })
    return program
  } catch {
    missing(t, 'libfcgi')
    return undefined
  }
}

/** `postern fcgi`, ended in good order: killed, it would leave its workers behind. */
function fcgi(t: Test, root: TempRoot, words: readonly string[]): Command {
  const command = postern(t, root.path, ['fcgi', ...words], { XDG_RUNTIME_DIR: root.path })
  t.teardown(async () => {
    command.signal('SIGTERM')
    await within('postern has ended', command.ended)
  })
  return command
}

/** nginx in one process, on a socket of its own, with the workers behind it. */
async function nginxBefore(t: Test, nginx: string, root: TempRoot, app: string): Promise<string> {
  const front = join(root.path, 'front.sock')
  const temporary = ['client_body', 'fastcgi', 'proxy', 'scgi', 'uwsgi']
  const config = join(root.path, 'nginx.conf')
  writeFileSync(
    config,
    `daemon off; master_process off; pid ${root.path}/nginx.pid; error_log stderr;
events {}
http {
  access_log off;
  ${temporary.map(name => `${name}_temp_path ${root.path}/${name};`).join(' ')}
  server {
    listen unix:${front};
    location / {
      fastcgi_pass unix:${app};
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param QUERY_STRING $query_string;
    }
  }
}
`,
  )
  const child = spawn(nginx, ['-c', config, '-p', root.path], { stdio: 'ignore' })
  const ended = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  await waitFor('nginx answers', () =>
    get(front).then(
      ({ status }) => status === 200,
      () => false,
    ),
  )
  return front
}

function get(socketPath: string, path = '/'): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, agent: false }, response => {
      let body = ''
      response.setEncoding('latin1').on('data', text => {
        body += text
      })
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }))
      response.once('error', reject)
    })
    sent.once('error', reject)
    sent.end()
  })
}

function workersOf(command: Command, program: string): number[] {
  return children(command.pid).filter(pid => isAlive(pid) && commandLine(pid) === program)
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0', 1)[0] ?? ''
  } catch {
    return ''
  }
}

t.test('G-24: libfcgi workers on one socket answer nginx, also after a reload', async t => {
  const root = tempRoot(t)
  const nginx = peer(t, 'nginx', ['/usr/sbin/nginx'])
  const program = compile(t, root)
  if (nginx === undefined || program === undefined) return
  const app = join(root.path, 'app.sock')
  const words = ['-n', '2', '-s', `unix:${app}`, '--', program]
  const command = fcgi(t, root, words)
  await command.printed(/2 workers of/)
  const front = await nginxBefore(t, nginx, root, app)
  const pids = workersOf(command, program)
  for (let i = 0; i < 20; i++) {
    const { status, body } = await get(front)
    t.equal(status, 200)
    t.ok(pids.includes(Number(body)))
  }
  command.signal('SIGHUP')
  await command.logged(/the workers are replaced/)
  for (const pid of pids) await untilGone(pid)
  const { body } = await get(front)
  t.ok(workersOf(command, program).includes(Number(body)))
})

t.test('a request that a libfcgi worker has is let end by a reload', async t => {
  const root = tempRoot(t)
  const nginx = peer(t, 'nginx', ['/usr/sbin/nginx'])
  const program = compile(t, root)
  if (nginx === undefined || program === undefined) return
  const app = join(root.path, 'app.sock')
  const hold = join(root.notes, 'go')
  const words = ['-n', '1', '--grace', '60s', '--env', `HOLD=${hold}`, '-s', `unix:${app}`]
  const command = fcgi(t, root, [...words, '--', program])
  await command.printed(/1 worker of/)
  const front = await nginxBefore(t, nginx, root, app)
  const [old = 0] = workersOf(command, program)
  const held = get(front, '/?hold')
  await waitFor(
    'it has the request',
    () => !readFileSync(`/proc/${old}/syscall`, 'latin1').includes(' 0x0 '),
  )
  command.signal('SIGHUP')
  await command.logged(/the workers are replaced/)
  t.not(Number((await get(front)).body), old, 'the new one answers')
  t.ok(isAlive(old))
  root.leave('go')
  t.same(await held, { status: 200, body: String(old) })
  await untilGone(old)
})

t.test('--max: more workers when connections wait, fewer when they are idle again', async t => {
  const root = tempRoot(t)
  const nginx = peer(t, 'nginx', ['/usr/sbin/nginx'])
  const program = compile(t, root)
  if (nginx === undefined || program === undefined) return
  const app = join(root.path, 'app.sock')
  const size = ['-n', '0', '--max', '2', '--idle', '300ms', '--env', `HOLD=${root.notes}/go`]
  const words = [...size, '-s', `unix:${app}`, '--', program]
  const command = fcgi(t, root, words)
  await command.printed(/0 workers of .*, started on demand/)
  t.same(workersOf(command, program), [])
  const front = await nginxBefore(t, nginx, root, app)
  const held = [get(front, '/?hold'), get(front, '/?hold'), get(front, '/?hold')]
  await waitFor('two are busy', () => workersOf(command, program).length === 2)
  root.leave('go')
  t.same(
    (await Promise.all(held)).map(({ status }) => status),
    [200, 200, 200],
  )
  t.ok(workersOf(command, program).length <= 2, 'never more than max')
  await waitFor('none is left', () => workersOf(command, program).length === 0)
})
