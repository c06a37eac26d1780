/**
 * Memory of a process tree: file pages once per program, everything else as it is divided.
 */
import t from 'tap'
import { memoryMiBOf, parseMemory, sumMemory } from '../../src/bench/process-memory.js'
import { processTree } from '../../src/bench/process-tree.js'

const skip = process.platform === 'linux' ? false : 'needs /proc'

t.test('own memory comes from smaps_rollup, file pages from status', async t => {
  const smaps =
    '00400000-7fff [rollup]\nRss: 900 kB\nPss: 500 kB\nPss_Anon:     300 kB\nPss_File: 150 kB\nPss_Shmem:      50 kB\n'
  const status = 'Name:\tx\nVmRSS:\t900 kB\nRssFile:\t   420 kB\n'
  t.same(parseMemory('/x', smaps, status), { program: '/x', own: 350, file: 420 })
  t.same(parseMemory('/x', '', ''), { program: '/x', own: 0, file: 0 }, 'a process that has ended')
})

t.test('file pages of one program count once, at their largest', async t => {
  const worker = { program: '/nginx', own: 1024, file: 2048 }
  const total = sumMemory([
    worker,
    { ...worker, file: 4096 },
    { program: '/sh', own: 0, file: 1024 },
  ])
  t.equal(total, 1 + 1 + 4 + 1)
})

t.test('this process has some', { skip }, async t => {
  const mib = memoryMiBOf(processTree(process.pid))
  t.ok(mib > 10 && mib < 2000, `${mib} MiB`)
  t.equal(memoryMiBOf(processTree()), 0)
})
