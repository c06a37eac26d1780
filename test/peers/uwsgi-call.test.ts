/** `postern call` against uWSGI itself, by both of its protocols that need no HTTP (conventions H-1, H-6). */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { runPostern } from '../cli/command.js'
import { peer } from '../support/peers.js'
import { tempRoot } from '../support/temp-root.js'
import { waitFor, within } from '../support/wait-for.js'

const program = fileURLToPath(new URL('../fixtures/programs/wsgi/count_body.py', import.meta.url))

t.test('uWSGI answers over uwsgi and over SCGI', async t => {
  const uwsgi = peer(t, 'uwsgi', ['/usr/bin/uwsgi'])
  if (uwsgi === undefined) return
  const { path } = tempRoot(t)
  const sockets = { uwsgi: join(path, 'u.sock'), scgi: join(path, 's.sock') }
  const child = spawn(
    uwsgi,
    [
      ...['--plugin', 'python3', '--need-app', '--die-on-term', '--wsgi-file', program],
      ...['--uwsgi-socket', sockets.uwsgi, '--scgi-socket', sockets.scgi],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', chunk => {
      said += String(chunk)
    })
  }
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await within('the end of uWSGI', once(child, 'exit'))
  })
  await waitFor('uWSGI is ready', () => existsSync(sockets.scgi) && /spawned/.test(said), 30_000)
  for (const [protocol, socket] of Object.entries(sockets)) {
    const words = ['call', '--protocol', protocol, `unix:${socket}`, '/a%20b']
    t.same(
      await runPostern(t, '/', [...words, '-d', 'four']),
      { code: 0, signal: null, stdout: 'POST /a b 4\n', stderr: '' },
      protocol,
    )
    t.match(await runPostern(t, '/', words), { code: 0, stdout: 'GET /a b 0\n' }, protocol)
  }
})
