/**
 * The peers really run with their configs: each one that is installed starts, answers like the others, and
 * leaves no process behind.
 */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { until } from '../../bench/child.js'
import { contenders } from '../../bench/contenders.js'
import { type Row, rows } from '../../bench/rows.js'
import { ask } from '../../bench/same-answer.js'
import type { RunningServer } from '../../bench/server.js'
import { buildSite, type Site } from '../../bench/site.js'
import { processTree } from '../../src/bench/process-tree.js'
import { peer } from '../support/peers.js'

const programs: Record<string, readonly string[]> = {
  nginx: ['nginx', 'fcgiwrap'],
  lighttpd: ['lighttpd'],
  apache: ['apache2'],
  go: ['go'],
}
const [hello] = rows as readonly [Row, ...Row[]]
const post = rows.find(({ name }) => name === 'post-256k') as Row

async function answers(server: RunningServer): Promise<boolean> {
  const ended = server.ended()
  if (ended !== undefined) throw new Error(ended)
  return (await ask(server.port, hello).catch(() => undefined))?.status === 200
}

/** The zombies of a container without an init that reaps do not count. */
function alive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'))
  } catch {
    return false
  }
}

t.test('peers', { skip: process.platform === 'linux' ? false : 'needs /proc' }, async t => {
  if (peer(t, 'gcc') === undefined) return
  const site: Site = buildSite()
  t.teardown(site.remove)

  for (const contender of contenders.filter(({ side }) => side === 'peer')) {
    t.test(contender.name, async t => {
      const needed = programs[contender.name] ?? []
      if (needed.some(name => peer(t, name, [`/usr/sbin/${name}`]) === undefined)) return
      const server = await contender.start(site)
      t.teardown(server.stop)
      await until(
        () => answers(server),
        () => `${contender.name} does not answer`,
      )
      t.match(await ask(server.port, hello), { status: 200, length: hello.answerBytes })
      t.match(await ask(server.port, post), { status: 200, length: post.answerBytes })
      const tree = processTree(...server.pids).map(({ pid }) => pid)
      t.ok(tree.length >= server.pids.length)
      await server.stop()
      t.same(tree.filter(alive), [])
    })
  }
})
