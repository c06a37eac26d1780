// What a worker prints is bounded by time, and says what was left out.
import t from 'tap'
import { BoundedLines, bytesPerSecond } from '../../src/worker/worker-output.js'

t.test('lines beyond the bytes of a second are left out and counted', async t => {
  const lines: string[] = []
  let now = 0
  const bounded = new BoundedLines(
    line => lines.push(line),
    () => now,
  )
  const kib = Buffer.from(`${'x'.repeat(1023)}\n`)
  for (let i = 0; i < bytesPerSecond / 1024; i++) bounded.push(kib)
  t.equal(lines.length, bytesPerSecond / 1024, 'up to the limit all are there')
  bounded.push(Buffer.from('y\n'))
  t.equal(lines.length, bytesPerSecond / 1024, 'one more is not')
  now = 1_000
  bounded.push(Buffer.from('z\n'))
  t.same(lines.slice(-2), [`… 2 bytes left out: more than ${bytesPerSecond} in a second`, 'z'])
})

t.test('a chunk across the limit is cut there', async t => {
  const lines: string[] = []
  const bounded = new BoundedLines(
    line => lines.push(line),
    () => 0,
  )
  bounded.push(Buffer.alloc(bytesPerSecond + 7, 'x'))
  bounded.end()
  t.equal(
    lines.slice(0, -1).reduce((sum, line) => sum + line.length, 0),
    bytesPerSecond,
  )
  t.match(lines.at(-1), /^… 7 bytes left out/)
})

t.test('the tail is the end of what was taken', async t => {
  const bounded = new BoundedLines(() => {})
  bounded.push(Buffer.from('one\ntwo\n'))
  t.equal(bounded.tail, 'one\ntwo')
})
