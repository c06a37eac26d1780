/**
 * The SCGI responder behind real web servers: nginx, buffering and not, lighttpd that starts it
 * (conventions G-40, G-55), mod_proxy_scgi. The program and the questions are those of FastCGI.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { fillTemplate, readTemplate } from '../../bench/site.js'
import { peer } from '../support/peers.js'
import {
  apacheModules,
  folder,
  freePort,
  isRoot,
  questions,
  ready,
  run,
} from '../support/responder-servers.js'

t.test('behind nginx', async t => {
  const nginx = peer(t, 'nginx', ['/usr/sbin/nginx'])
  if (nginx === undefined) return
  const directory = folder(t, 'scgi')
  const app = run(t, join(directory, 'app.scgi'), [], { LISTEN: join(directory, 'responder.sock') })
  const port = await freePort()
  const config = join(directory, 'nginx.conf')
  const values = { DIR: directory, PORT: String(port), USER: isRoot ? 'root' : 'nobody' }
  writeFileSync(config, fillTemplate(readTemplate('responder-scgi-nginx.conf'), values))
  const server = run(t, nginx, ['-p', directory, '-e', join(directory, 'error.log'), '-c', config])
  for (const prefix of ['/unix', '/streamed']) {
    await t.test(prefix, async t => {
      await ready(t, port, prefix, () => app.said() + server.said())
      await questions(t, port, prefix)
    })
  }
  t.match(
    app.said(),
    /Error: as it was told/,
    'the stack of a failure is in the log of the program',
  )
  t.notMatch(readFileSync(join(directory, 'error.log'), 'utf8'), /prematurely|reset by peer/)
})

t.test('started by lighttpd', async t => {
  const lighttpd = peer(t, 'lighttpd', ['/usr/sbin/lighttpd'])
  if (lighttpd === undefined) return
  const directory = folder(t, 'scgi')
  const port = await freePort()
  const config = join(directory, 'lighttpd.conf')
  const values = { DIR: directory, PORT: String(port) }
  writeFileSync(config, fillTemplate(readTemplate('responder-scgi-lighttpd.conf'), values))
  const server = run(t, lighttpd, ['-D', '-f', config])
  await ready(t, port, '/app', server.said)
  await questions(t, port, '/app')
})

t.test('behind Apache', async t => {
  const apache = peer(t, 'apache2', ['/usr/sbin/apache2'])
  if (apache === undefined) return
  const directory = folder(t, 'scgi')
  const port = await freePort()
  const appPort = await freePort()
  const app = run(t, join(directory, 'app.scgi'), [], { LISTEN: String(appPort) })
  const config = join(directory, 'apache.conf')
  const identity = isRoot ? 'User www-data\nGroup www-data' : ''
  const values = { DIR: directory, PORT: String(port), MODULES: apacheModules, IDENTITY: identity }
  const template = readTemplate('responder-scgi-apache.conf')
  writeFileSync(config, fillTemplate(template, { ...values, APPPORT: String(appPort) }))
  const server = run(t, apache, ['-DFOREGROUND', '-f', config])
  const said = (): string =>
    app.said() + server.said() + readFileSync(join(directory, 'error.log'), 'utf8')
  await ready(t, port, '/proxy', said)
  await questions(t, port, '/proxy')
})
