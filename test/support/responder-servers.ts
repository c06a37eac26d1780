/**
 * The responder's program behind real web servers: how they are started, and the questions that they are
 * asked, whatever the protocol between the two.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { descendants, untilEnded } from './processes.js'
import { RawConnection, type RequestParts } from './raw-http.js'
import type { RawResponse } from './raw-response.js'
import { tempRoot } from './temp-root.js'
import { waitFor, within } from './wait-for.js'

const tsx = import.meta.resolve('tsx')
const program = fileURLToPath(new URL('../fixtures/programs/responder-app.mjs', import.meta.url))
export const apacheModules = '/usr/lib/apache2/modules'
export const isRoot = process.getuid?.() === 0
const MiB = 1024 * 1024

/** A folder that a server without privileges can read too, with a starter of the application: `app.fcgi` or `app.scgi`. */
export function folder(t: Test, protocol: 'fastcgi' | 'scgi' = 'fastcgi'): string {
  const { path } = tempRoot(t)
  chmodSync(path, 0o755)
  const command = `'${process.execPath}' --import '${tsx}' '${program}'`
  const starter = `#!/bin/sh\nPROTOCOL=${protocol} exec ${command}\n`
  writeFileSync(join(path, protocol === 'scgi' ? 'app.scgi' : 'app.fcgi'), starter, { mode: 0o755 })
  return path
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** A program in the foreground; in teardown it gets TERM, and everything that it has started must be gone. */
export function run(
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

export async function get(
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
export async function ready(
  t: Test,
  port: number,
  prefix: string,
  said: () => string,
): Promise<void> {
  const answers = async (): Promise<boolean> => {
    const response = await get(t, port, `${prefix}/`).catch(() => undefined)
    return response?.status === 200
  }
  await waitFor(`an answer of ${prefix}`, answers, 30_000).catch(error => {
    throw new Error(`${error.message}; ${said()}`)
  })
}

/** Asks everything below a prefix. */
export async function questions(t: Test, port: number, prefix: string): Promise<void> {
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
