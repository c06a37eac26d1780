/**
 * What only the spawner by posix_spawn can meet: a call through koffi that fails before it is made.
 */
import t from 'tap'
import { loadLibc } from '../../src/process/libc.js'
import { createPosixSpawner } from '../../src/process/posix.js'
import { openDescriptors } from '../support/processes.js'

const program = {
  file: '/bin/sh',
  argv: ['/bin/sh', '-c', 'exit 3'],
  env: [],
  cwd: '/',
  stdin: 'none',
} as const

t.test('a call that throws at once is a failed start, and holds neither slot nor pipe', async t => {
  const libc = await loadLibc()
  let full = true
  const spawner = createPosixSpawner({
    ...libc,
    posixSpawnAsync: (...words) => {
      if (full) throw new Error('the queue is full')
      libc.posixSpawnAsync(...words)
    },
  })
  const before = openDescriptors()
  // More than there are slots for calls at once.
  for (let start = 0; start < 20; start++) {
    await t.rejects(spawner.spawn(program), { message: 'the queue is full' })
  }
  const left = [...openDescriptors()].filter(([fd, what]) => before.get(fd) !== what)
  t.strictSame(left, [], 'no pipe is left')
  full = false
  const child = await spawner.spawn(program)
  child.stdout.start(
    () => {},
    () => child.stdout.close(),
  )
  child.stderr.start(
    () => {},
    () => child.stderr.close(),
  )
  t.equal((await child.exited).code, 3, 'the next start works')
})
