// The library: `cgi()` in node:http and Express, as a host program would use it.
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import express from 'express'
import t, { type Test } from 'tap'
import { cgi } from '../../src/index.js'

const plain = 'echo "Content-Type: text/plain"; echo'

function scripts(t: Test): string {
  const script = (...lines: string[]): string => ['#!/bin/sh', ...lines, ''].join('\n')
  const directory = t.testdir({
    'names.cgi': script(plain, 'echo "$SCRIPT_NAME|$PATH_INFO|$REQUEST_URI"'),
    'echo.cgi': script(plain, 'cat'),
    'garbage.cgi': script('echo garbage'),
    'sleep.cgi': script(plain, 'echo $$', 'exec sleep 60'),
    'plain.cgi': 'echo no interpreter line\n',
  })
  return directory
}

async function serve(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function executable(directory: string, ...names: string[]): Promise<void> {
  const { chmod } = await import('node:fs/promises')
  for (const name of names) await chmod(join(directory, name), 0o755)
}

const all = ['names.cgi', 'echo.cgi', 'garbage.cgi', 'sleep.cgi', 'plain.cgi']

t.test('node:http: a directory at the root, and below a prefix', async t => {
  const directory = scripts(t)
  await executable(directory, ...all)
  const atRoot = cgi(directory)
  const below = cgi(directory, { path: '/cgi-bin/' })
  t.teardown(() => Promise.all([atRoot.close(), below.close()]))
  const root = await serve(t, atRoot)
  t.equal(await text(`${root}/names.cgi/a?b=c`), '/names.cgi|/a|/names.cgi/a?b=c\n')
  const prefixed = await serve(t, below)
  t.equal(
    await text(`${prefixed}/cgi-bin/names.cgi/a`),
    '/cgi-bin/names.cgi|/a|/cgi-bin/names.cgi/a\n',
  )
  t.equal((await fetch(`${prefixed}/names.cgi`)).status, 404)
})

t.test('Express: the mount path is the prefix, bodies arrive, what is missing goes on', async t => {
  const directory = scripts(t)
  await executable(directory, ...all)
  const handler = cgi(directory)
  t.teardown(() => handler.close())
  const app = express()
  app.use('/scripts', handler)
  app.use((_req, res) => void res.status(418).send('the host'))
  const origin = await serve(t, app)
  t.equal(
    await text(`${origin}/scripts/names.cgi/a`),
    '/scripts/names.cgi|/a|/scripts/names.cgi/a\n',
  )
  const body = 'x'.repeat(100_000)
  const echoed = await fetch(`${origin}/scripts/echo.cgi`, { method: 'POST', body })
  t.equal(await echoed.text(), body)
  t.equal((await fetch(`${origin}/scripts/missing.cgi`)).status, 418)
})

t.test(
  'no script can crash its host: each failure is a status, the next request works',
  async t => {
    const directory = scripts(t)
    await executable(directory, ...all)
    const { rm } = await import('node:fs/promises')
    const handler = cgi(directory)
    t.teardown(() => handler.close())
    const origin = await serve(t, handler)
    for (const [name, status] of [
      ['garbage.cgi', 500],
      ['plain.cgi', 500],
      ['missing.cgi', 404],
      ['names.cgi', 200],
    ] as const) {
      t.equal((await fetch(`${origin}/${name}`)).status, status, name)
    }
    await rm(directory, { recursive: true })
    t.equal((await fetch(`${origin}/names.cgi`)).status, 404, 'the whole directory is gone')
  },
)

t.test('close ends what runs and refuses what comes', async t => {
  const directory = scripts(t)
  await executable(directory, ...all)
  const handler = cgi(directory)
  const origin = await serve(t, handler)
  const response = await fetch(`${origin}/sleep.cgi`)
  const reader = response.body?.getReader()
  const { value } = (await reader?.read()) ?? {}
  const pid = Number(new TextDecoder().decode(value))
  t.ok(process.kill(pid, 0), 'it runs')
  await handler.close()
  t.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
  await t.rejects(Promise.resolve(reader?.read()), 'the body is visibly cut')
  t.equal((await fetch(`${origin}/names.cgi`)).status, 503)
})

t.test('options: interpreters are looked up, a missing target is told at once', async t => {
  const directory = scripts(t)
  const handler = cgi(directory, { interpreters: { '.cgi': 'sh' } })
  t.teardown(() => handler.close())
  const origin = await serve(t, handler)
  t.equal(await text(`${origin}/names.cgi`), '/names.cgi||/names.cgi\n', 'no execute bit needed')
  t.throws(() => cgi(join(directory, 'missing')), { code: 'ENOENT' })
})

async function text(url: string): Promise<string> {
  return (await fetch(url)).text()
}
