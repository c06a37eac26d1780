/**
 * STDOUT of one read as one piece, whatever lay between the contents.
 */
import fc from 'fast-check'
import t from 'tap'
import { OutputOfRead } from '../../src/fastcgi/output-of-read.js'

t.test('contents move together, and nothing behind them is touched', async t => {
  // A read may lie anywhere in a larger buffer.
  const memory = Buffer.from('??HHonePPHHtwoPHHthree!!', 'latin1')
  const read = memory.subarray(2, 22)
  const output = new OutputOfRead()
  output.begin(read)
  t.equal(output.take(), undefined)
  t.equal(output.add(7, read.subarray(2, 5)), true)
  t.equal(output.add(7, read.subarray(9, 12)), true)
  t.equal(output.add(7, read.subarray(15, 20)), true)
  t.equal(output.id, 7)
  t.equal(String(output.take()), 'onetwothree')
  t.equal(output.take(), undefined)
  t.equal(memory.toString('latin1', 22), '!!')
})

t.test('output of another request waits until the first was taken', async t => {
  const read = Buffer.alloc(8)
  read.write('HoneHtwo', 'latin1')
  const output = new OutputOfRead()
  output.begin(read)
  output.add(1, read.subarray(1, 4))
  t.equal(output.add(2, read.subarray(5, 8)), false)
  t.equal(output.id, 1)
  const one = output.take()
  t.equal(String(one), 'one')
  t.equal(one?.buffer, read.buffer)
  t.equal(output.add(2, read.subarray(5, 8)), true)
  t.equal(output.id, 2)
  const two = output.take()
  t.equal(String(two), 'two')
  t.not(two?.buffer, read.buffer, 'who gives the first one back gives nothing of this one back')
})

t.test('any gaps, any lengths', async () => {
  const parts = fc.array(fc.tuple(fc.nat(20), fc.integer({ min: 1, max: 40 })), { maxLength: 20 })
  fc.assert(
    fc.property(parts, gapsAndLengths => {
      const total = gapsAndLengths.reduce((sum, [gap, length]) => sum + gap + length, 0)
      const read = Buffer.from(Array.from({ length: total }, (_, at) => at & 0xff))
      const expected: Buffer[] = []
      const output = new OutputOfRead()
      output.begin(read)
      let at = 0
      for (const [gap, length] of gapsAndLengths) {
        at += gap
        expected.push(Buffer.from(read.subarray(at, at + length)))
        output.add(1, read.subarray(at, at + length))
        at += length
      }
      return Buffer.concat(expected).equals(output.take() ?? Buffer.alloc(0))
    }),
  )
})
