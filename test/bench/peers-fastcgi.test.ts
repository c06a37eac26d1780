/**
 * The FastCGI peers really run with their configs: each one that is installed starts with its workers, gives the
 * answers of every row, and leaves no process behind. And the two workers behind them are two.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { until } from '../../bench/child.js'
import { fastcgiContenders } from '../../bench/fastcgi-contenders.js'
import { PHP_FPM, startWorkers, WORKERS } from '../../bench/fastcgi-workers.js'
import { openIdle } from '../../bench/idle-connections.js'
import { fastcgiRows, type Row } from '../../bench/rows.js'
import { ask } from '../../bench/same-answer.js'
import type { RunningServer } from '../../bench/server.js'
import { buildSite, fillFastcgiRoot } from '../../bench/site.js'
import { processTree } from '../../src/bench/process-tree.js'
import { missing, peer } from '../support/peers.js'
import { isAlive } from '../support/processes.js'
import { waitFor } from '../support/wait-for.js'

const programs: Record<string, readonly string[]> = {
  nginx: ['nginx'],
  'nginx-keepalive': ['nginx'],
  lighttpd: ['lighttpd'],
  h2o: ['h2o'],
  apache: ['apache2'],
  caddy: ['caddy'],
}
const [hello] = fastcgiRows as readonly [Row, ...Row[]]

async function answers(server: RunningServer): Promise<boolean> {
  const ended = server.ended()
  if (ended !== undefined) throw new Error(ended)
  return (await ask(server.port, hello).catch(() => undefined))?.status === 200
}

/** Processes below `roots` that run a program whose path ends in `name`. */
function running(roots: readonly number[], name: string): number[] {
  return processTree(...roots)
    .map(({ pid }) => pid)
    .filter(pid => readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0')[0]?.endsWith(name))
}

t.test('peers', { skip: process.platform === 'linux' ? false : 'needs /proc' }, async t => {
  if (peer(t, 'gcc') === undefined || peer(t, 'php-fpm8.2', [PHP_FPM]) === undefined) return
  if (!existsSync('/usr/include/fcgiapp.h')) {
    missing(t, 'libfcgi-dev')
    return
  }
  const site = buildSite(fillFastcgiRoot)
  t.teardown(site.remove)

  for (const contender of fastcgiContenders.filter(({ side }) => side === 'peer')) {
    t.test(contender.name, async t => {
      const needed = programs[contender.name] ?? []
      if (needed.some(name => peer(t, name, [`/usr/sbin/${name}`]) === undefined)) return
      const server = await contender.start(site)
      t.teardown(server.stop)
      await until(
        () => answers(server),
        () => `${contender.name} does not answer`,
      )
      for (const row of fastcgiRows) {
        const answer = await ask(server.port, row)
        t.match(answer, { status: 200, length: row.answerBytes }, row.name)
      }
      t.equal(running(server.pids, 'worker.fcgi').length, WORKERS)
      t.equal(running(server.pids, 'php-fpm: pool bench').length, WORKERS)
      const tree = processTree(...server.pids).map(({ pid }) => pid)
      await server.stop()
      t.same(tree.filter(isAlive), [])
    })
  }

  t.test('idle connections are counted when the server closes them', async t => {
    const nginx = fastcgiContenders.find(({ name }) => name === 'nginx')
    if (!nginx || peer(t, 'nginx', ['/usr/sbin/nginx']) === undefined) return
    const server = await nginx.start(site)
    t.teardown(server.stop)
    await until(
      () => answers(server),
      () => 'nginx does not answer',
    )
    const idle = await openIdle(server.port, hello.path, 60)
    t.teardown(idle.close)
    t.equal(idle.closed(), 0)
    await server.stop()
    await waitFor('every idle connection is closed', () => idle.closed() === 60)
    await t.rejects(openIdle(server.port, hello.path, 1))
  })

  t.test('a worker that ends is noticed, and the others go with the launcher', async t => {
    const directory = site.serverDirectory('workers')
    const [app, php] = await startWorkers(site, directory)
    if (!app || !php) throw new Error('no workers')
    t.teardown(app.stop)
    t.teardown(php.stop)
    const workers = running([app.pid], 'worker.fcgi')
    t.equal(workers.length, WORKERS)
    process.kill(workers[0] ?? 0, 'SIGKILL')
    await waitFor('the launcher has ended', () => app.ended() !== undefined)
    t.match(app.ended(), 'has ended (status 9)')
    t.match(app.ended(), join(site.tools, 'prefork'))
    await app.stop()
    t.same(workers.filter(isAlive), [])
  })
})
