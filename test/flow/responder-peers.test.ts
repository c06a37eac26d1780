/**
 * The responder behind real web servers: nginx with connections kept and not, lighttpd and mod_fcgid that
 * start it (conventions G-40, G-55), mod_proxy_fcgi. One program, one list of questions.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
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
  const values = { DIR: directory, PORT: String(port), MODULES: apacheModules, IDENTITY: identity }
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
