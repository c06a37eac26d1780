/**
 * CPU of a process tree: the parsers on texts by hand, then real processes.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { countsChildren, parseBusyTicks, parseIgnoresChildren } from '../../bench/process-tree.js'
import { cpuSecondsOf, parseStat, processTree, treeOf } from '../../src/bench/process-tree.js'

const skip = process.platform === 'linux' ? false : 'needs /proc'

t.test('a stat line gives pid, parent and four CPU times, whatever the name is', async t => {
  const times = '10 20 300 4000'
  const rest = `S 41 42 42 0 -1 4194304 1 2 3 4 ${times} 20 0 1 0 99 1000 10`
  t.same(parseStat(`42 (sh) ${rest}`), { pid: 42, parent: 41, ticks: 4330 })
  t.same(parseStat(`42 (a) b (c) ${rest}`), { pid: 42, parent: 41, ticks: 4330 })
  t.throws(() => parseStat('42 (sh) S'), /no stat line/)
})

t.test('a tree is the roots and all that descends from them', async t => {
  const all = [
    { pid: 7, parent: 3, ticks: 0 },
    { pid: 1, parent: 0, ticks: 0 },
    { pid: 3, parent: 2, ticks: 0 },
    { pid: 2, parent: 1, ticks: 0 },
    { pid: 9, parent: 1, ticks: 0 },
    { pid: 5, parent: 4, ticks: 0 },
  ]
  const pids = (roots: number[]) => treeOf(roots, all).map(({ pid }) => pid)
  t.same(pids([2]).sort(), [2, 3, 7])
  t.same(pids([2, 3]).sort(), [2, 3, 7], 'a root inside the tree of another counts once')
  t.same(pids([9, 5]).sort(), [5, 9])
  t.same(pids([100]), [])
})

t.test('busy is everything but idle and iowait; guest time is in user time already', async t => {
  t.equal(parseBusyTicks('cpu  1 2 4 1000 2000 8 16 32 5000 5000\ncpu0 9 9 9\n'), 63)
})

t.test('bit 17 of SigIgn is SIGCHLD', async t => {
  t.equal(parseIgnoresChildren('Name:\tx\nSigIgn:\t0000000000010006\nSigCgt:\t0\n'), true)
  t.equal(parseIgnoresChildren('SigIgn:\t0000000001001000\n'), false)
  t.equal(parseIgnoresChildren('SigCgt:\t0000000000010000\n'), false)
})

/** A shell that burns CPU in a subshell, says so, and then waits for the end of its input. */
async function burner(t: Test): Promise<number> {
  const burn = '(i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done)'
  const child = spawn('sh', ['-c', `${burn}; echo done; read line`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(async () => {
    child.stdin.end()
    if (child.exitCode === null) await once(child, 'exit')
  })
  await once(child.stdout, 'data')
  return child.pid ?? 0
}

t.test('CPU of a child that has ended counts', { skip }, async t => {
  const pid = await burner(t)
  t.ok(cpuSecondsOf(processTree(pid)) >= 0.05)
  t.equal(countsChildren([pid]), true)
})
