/**
 * The responder behind real web servers: nginx with connections kept and not, lighttpd and mod_fcgid that
 * start it (conventions G-40, G-55), mod_proxy_fcgi. One program, one list of questions.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { fillTemplate, readTemplate } from '../../bench/site.js'
import { peer } from '../support/peers.js'
import { descendants, untilEnded } from '../support/processes.js'
import { RawConnection, type RequestParts } from '../support/raw-http.js'
import type { RawResponse } from '../support/raw-response.js'
import { tempRoot } from '../support/temp-root.js'
import { waitFor, within } from '../support/wait-for.js'

const tsx = import.meta.resolve('tsx')
const program = fileURLToPath(new URL('../fixtures/programs/responder-app.mjs', import.meta.url))
const modules = '/usr/lib/apache2/modules'
const isRoot = process.getuid?.() === 0
const MiB = 1024 * 1024

/** A folder that a server without privileges can read too, with a starter of the application. */
function folder(t: Test): string {
  const { path } = tempRoot(t)
  chmodSync(path, 0o755)
  const starter = `#!/bin/sh\nexec '${process.execPath}' --import '${tsx}' '${program}'\n`
  writeFileSync(join(path, 'app.fcgi'), starter, { mode: 0o755 })
  return path
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** A program in the foreground; in teardown it gets TERM, and everything that it has started must be gone. */
function run(
  t: Test,
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): { pid: number; said: () => string } {
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, ...env },
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', chunk => {
      said += String(chunk)
    })
  }
  const pid = child.pid ?? 0
  t.teardown(async () => {
    const all = descendants(pid)
    child.kill('SIGTERM')
    if (child.exitCode === null && child.signalCode === null) {
      await within(`the end of ${file}`, once(child, 'exit'))
    }
    for (const other of all) await untilEnded(other)
  })
  return { pid, said: () => said }
}

async function get(
  t: Test,
  port: number,
  target: string,
  parts?: RequestParts,
): Promise<RawResponse> {
  const connection = await RawConnection.open(t, `http://127.0.0.1:${port}`)
  connection.request(target, parts)
  const response = await connection.response({ head: parts?.method === 'HEAD' })
  connection.destroy()
  return response
}

/** Waits until the server answers below the prefix. */
async function ready(t: Test, port: number, prefix: string, said: () => string): Promise<void> {
  const answers = async (): Promise<boolean> => {
    const response = await get(t, port, `${prefix}/`).catch(() => undefined)
    return response?.status === 200
  }
  await waitFor(`an answer of ${prefix}`, answers, 30_000).catch(error => {
    throw new Error(`${error.message}; ${said()}`)
  })
}

/** Asks everything below a prefix. */
async function questions(t: Test, port: number, prefix: string): Promise<void> {
  const plain = await get(t, port, `${prefix}/a%20b?c=%20d`, { headers: ['X-Own: mine'] })
  t.match(JSON.parse(plain.text()), {
    ...{ method: 'GET', url: `${prefix}/a%20b?c=%20d`, bytes: 0, own: 'mine' },
    remoteAddress: '127.0.0.1',
  })
  const size = 3 * MiB
  const posted = await get(t, port, `${prefix}/x`, { method: 'POST', body: Buffer.alloc(size) })
  t.match(JSON.parse(posted.text()), { method: 'POST', bytes: size, length: String(size) })
  const big = await get(t, port, `${prefix}/big?${5 * MiB}`)
  t.equal(big.body.equals(Buffer.alloc(5 * MiB, 'b')), true, 'a long answer, whole')
  const none = await get(t, port, `${prefix}/none`)
  t.equal(none.status, 404)
  t.strictSame(
    none.headers.filter(([name]) => /^set-cookie$/i.test(name)).map(([, value]) => value),
    ['a=1', 'b=2'],
  )
  const head = await get(t, port, `${prefix}/x`, { method: 'HEAD' })
  t.match({ status: head.status, body: head.body.length }, { status: 200, body: 0 })
  t.equal((await get(t, port, `${prefix}/throw`)).status, 500)
  t.equal((await get(t, port, `${prefix}/x`)).status, 200, 'the application lives')
}

t.test('behind nginx', async t => {
  const nginx = peer(t, 'nginx', ['/usr/sbin/nginx'])
  if (nginx === undefined) return
  const directory = folder(t)
  const app = run(t, join(directory, 'app.fcgi'), [], { LISTEN: join(directory, 'responder.sock') })
  const port = await freePort()
  const config = join(directory, 'nginx.conf')
  const values = { DIR: directory, PORT: String(port), USER: isRoot ? 'root' : 'nobody' }
  writeFileSync(config, fillTemplate(readTemplate('responder-nginx.conf'), values))
  const server = run(t, nginx, ['-p', directory, '-e', join(directory, 'error.log'), '-c', config])
  for (const prefix of ['/kept', '/fresh']) {
    await t.test(prefix, async t => {
      await ready(t, port, prefix, () => app.said() + server.said())
      await questions(t, port, prefix)
    })
  }
  const log = readFileSync(join(directory, 'error.log'), 'utf8')
  t.match(log, /as it was told/, 'the stack of a failure is in the log of nginx')
  t.notMatch(log, /prematurely|reset by peer/)
})

t.test('started by lighttpd', async t => {
  const lighttpd = peer(t, 'lighttpd', ['/usr/sbin/lighttpd'])
  if (lighttpd === undefined) return
  const directory = folder(t)
  const port = await freePort()
  const config = join(directory, 'lighttpd.conf')
  const values = { DIR: directory, PORT: String(port) }
  writeFileSync(config, fillTemplate(readTemplate('responder-lighttpd.conf'), values))
  const server = run(t, lighttpd, ['-D', '-f', config])
  await ready(t, port, '/app', server.said)
  await questions(t, port, '/app')
})

t.test('behind Apache, and started by it', async t => {
  const apache = peer(t, 'apache2', ['/usr/sbin/apache2'])
  if (apache === undefined) return
  const directory = folder(t)
  mkdirSync(join(directory, 'fcgid'))
  chmodSync(join(directory, 'fcgid'), 0o777)
  const port = await freePort()
  const appPort = await freePort()
  const app = run(t, join(directory, 'app.fcgi'), [], { LISTEN: String(appPort) })
  const config = join(directory, 'apache.conf')
  const identity = isRoot ? 'User www-data\nGroup www-data' : ''
  const values = { DIR: directory, PORT: String(port), MODULES: modules, IDENTITY: identity }
  const text = fillTemplate(readTemplate('responder-apache.conf'), {
    ...values,
    APPPORT: String(appPort),
  })
  writeFileSync(config, text)
  const server = run(t, apache, ['-DFOREGROUND', '-f', config])
  const said = (): string =>
    app.said() + server.said() + readFileSync(join(directory, 'error.log'), 'utf8')
  for (const prefix of ['/proxy', '/proxy-fresh', '/spawned']) {
    await t.test(prefix, async t => {
      await ready(t, port, prefix, said)
      await questions(t, port, prefix)
    })
  }
})
