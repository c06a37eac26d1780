/**
 * CPU and memory of a process tree: the parsers on texts by hand, then real processes.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { memoryMiBOf, parseMemory, sumMemory } from '../../src/bench/process-memory.js'
import { cpuSecondsOf, parseStat, processTree, treeOf } from '../../src/bench/process-tree.js'
import { waitFor } from '../support/wait-for.js'

const skip = process.platform === 'linux' ? false : 'needs /proc'

t.test('a stat line gives pid, parent and four CPU times, whatever the name is', async t => {
  const rest = 'S 41 42 42 0 -1 4194304 1 2 3 4 10 20 300 4000 20 0 1 0 99 1000 10'
  for (const name of ['sh', 'a) b (c', ')']) {
    t.same(parseStat(`42 (${name}) ${rest}`), { pid: 42, parent: 41, ticks: 4330 }, name)
  }
  t.throws(() => parseStat('42 (sh) S'), /no stat line/)
})

t.test('a tree is the root and all that descends from it', async t => {
  const all = [
    [7, 3],
    [1, 0],
    [3, 2],
    [2, 1],
    [9, 1],
    [5, 4],
  ].map(([pid = 0, parent = 0]) => ({ pid, parent, ticks: 150 }))
  t.same(
    treeOf([2], all).map(({ pid }) => pid),
    [2, 3, 7],
  )
  t.same(
    treeOf([5], all).map(({ pid }) => pid),
    [5],
  )
  t.same(treeOf([100], all), [])
  t.equal(cpuSecondsOf(treeOf([2], all)), 4.5)
})

t.test('files count once per program, what is its own for each process', async t => {
  const smaps = 'Rss: 9 kB\nPss_Anon:     512 kB\nPss_File:     7 kB\nPss_Shmem:      1536 kB\n'
  const one = parseMemory('/bin/node', smaps, 'VmRSS:\t 9 kB\nRssFile:\t   1024 kB\n')
  t.same(one, { program: '/bin/node', own: 2048, file: 1024 })
  t.equal(sumMemory([one, { ...one, file: 2048 }, { ...one, program: '/bin/sh' }]), 3 * 2 + 2 + 1)
  t.same(parseMemory('', '', ''), { program: '', own: 0, file: 0 }, 'a process that is gone')
})

/** A shell that lives until its stdin ends. */
async function shell(t: Test, script: string): Promise<number> {
  const child = spawn('sh', ['-c', script], { stdio: ['pipe', 'ignore', 'inherit'] })
  t.teardown(async () => {
    child.stdin.end()
    if (child.exitCode === null) await once(child, 'exit')
  })
  return child.pid ?? 0
}

t.test('CPU of programs that have ended is counted', { skip }, async t => {
  const pid = await shell(t, 'sh -c "while [ \\$((i += 1)) -lt 300000 ]; do :; done"; read x')
  const spent = await waitFor('the program has ended', () => {
    const tree = processTree(pid)
    return tree.length === 1 && cpuSecondsOf(tree) > 0 ? cpuSecondsOf(tree) : undefined
  })
  t.ok(spent >= 0.05, `${spent} s`)
})

t.test('memory of a tree is that of its processes', { skip }, async t => {
  const pid = await shell(t, 'sh -c "read x"; read x')
  await waitFor('both shells run', () => processTree(pid).length === 2)
  const both = memoryMiBOf(processTree(pid))
  t.ok(both > 0.1 && both < 20, `${both} MiB`)
  t.equal(memoryMiBOf([]), 0)
})
