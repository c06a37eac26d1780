/** Name-value pairs (FastCGI §3.4): bytes by hand, every cut, the limits, and any pairs at all. */
import fc from 'fast-check'
import t from 'tap'
import { encodePairs, PairReader, pairText } from '../../src/fastcgi/name-value.js'
import { byteByByte, everySplit } from '../support/chunks.js'
import { hex, pairLength, pairs } from '../support/fastcgi-bytes.js'

type Pair = [name: string, value: string]

const roomy = { bytes: 1 << 24, pairs: 100_000 }

function read(pieces: Iterable<Buffer>, limits = roomy): Pair[] {
  const found: Pair[] = []
  const reader = new PairReader(limits, (name, value) => found.push([name, value]))
  for (const piece of pieces) reader.push(piece)
  reader.end()
  return found
}

t.test('§3.4, G-26: bytes by hand, both ways', async t => {
  for (const [list, bytes] of [
    [
      [
        ['REQUEST_METHOD', 'GET'],
        ['QUERY_STRING', ''],
      ],
      hex('0e 03 "REQUEST_METHOD" "GET" 0c 00 "QUERY_STRING"'),
    ],
    [[['', '']], hex('00 00')],
    [[['', 'v']], hex('00 01 "v"')],
    [[['A', '\xe9\xff']], hex('01 02 "A" e9 ff')],
    [
      [['n'.repeat(127), 'v'.repeat(128)]],
      Buffer.concat([hex('7f 80 00 00 80'), Buffer.from('n'.repeat(127) + 'v'.repeat(128))]),
    ],
    [
      [['n'.repeat(128), 'v'.repeat(127)]],
      Buffer.concat([hex('80 00 00 80 7f'), Buffer.from('n'.repeat(128) + 'v'.repeat(127))]),
    ],
    [
      [['N', 'v'.repeat(65_535)]],
      Buffer.concat([hex('01 80 00 ff ff "N"'), Buffer.alloc(65_535, 'v')]),
    ],
    [
      [['N', 'v'.repeat(1 << 20)]],
      Buffer.concat([hex('01 80 10 00 00 "N"'), Buffer.alloc(1 << 20, 'v')]),
    ],
    [[], Buffer.alloc(0)],
  ] as readonly [Pair[], Buffer][]) {
    const what = list.map(([name, value]) => `${name.length}/${value.length}`).join()
    t.ok(encodePairs(list).equals(bytes), `written: ${what}`)
    t.same(read([bytes]), list, `read: ${what}`)
    const text = list.map(([name, value]) => pairText(name, value)).join('')
    t.ok(Buffer.from(text, 'latin1').equals(bytes), `as text: ${what}`)
  }
})

t.test('a length of four bytes is read even where one would do', async t => {
  t.same(read([hex('80 00 00 01 80 00 00 02 "N" "vv"')]), [['N', 'vv']])
})

const several = pairs([
  ['REQUEST_METHOD', 'GET'],
  ['', ''],
  ['LONG', 'v'.repeat(300)],
  ['n'.repeat(130), ''],
  ['LAST', '\0\xff'],
])

t.test('G-2: a pair cut at any byte is the same pair', async t => {
  const whole = read([several])
  t.equal(whole.length, 5)
  for (const parts of everySplit(several)) t.same(read(parts), whole, `${parts[0]?.length}`)
  t.same(read(byteByByte(several)), whole, 'one byte at a time')
})

t.test('G-52: an end in the middle of a pair is refused, at every byte', async t => {
  const one = pairs([['NAME', 'v'.repeat(130)]])
  for (let length = 1; length < one.length; length++) {
    t.throws(() => read([one.subarray(0, length)]), { code: 'PROTOCOL_ERROR' }, `${length}`)
  }
  t.same(read([one]).length, 1)
})

t.test('the limit of bytes, and one past it', async t => {
  const bytes = several.length
  t.equal(read([several], { ...roomy, bytes }).length, 5)
  t.throws(() => read([several], { ...roomy, bytes: bytes - 1 }), { code: 'PROTOCOL_ERROR' })
  t.throws(() => read(byteByByte(several), { ...roomy, bytes: bytes - 1 }), {
    code: 'PROTOCOL_ERROR',
  })
})

t.test('the limit of pairs, and one past it', async t => {
  t.equal(read([several], { ...roomy, pairs: 5 }).length, 5)
  t.throws(() => read([several], { ...roomy, pairs: 4 }), { code: 'PROTOCOL_ERROR' })
})

t.test(
  'a length that no limit allows is refused when it is read, not when it has come',
  async t => {
    const reader = new PairReader({ bytes: 100, pairs: 10 }, () => t.fail('there is no pair'))
    t.throws(() => reader.push(hex('80 00 00 60 00')), { code: 'PROTOCOL_ERROR' }, '5 + 96 bytes')
    const at = new PairReader({ bytes: 101, pairs: 10 }, () => {})
    t.doesNotThrow(() => at.push(hex('80 00 00 60 00')), 'at the limit')
  },
)

t.test('a long pair in small pieces costs no more than its length', async t => {
  // Each piece used to copy all that had come before: 4 MiB in pieces of 16 bytes were 500 GiB of copying.
  const value = 'v'.repeat(4 << 20)
  const bytes = Buffer.concat([pairLength(1), pairLength(value.length), Buffer.from(`N${value}`)])
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; at += 16) pieces.push(bytes.subarray(at, at + 16))
  const [found] = read(pieces)
  t.equal(found?.[1].length, value.length)
})

const latin1 = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map(bytes => Buffer.from(bytes).toString('latin1'))

t.test('any pairs, cut anywhere, come back', async t => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(latin1(200), latin1(400)), { maxLength: 20 }),
      fc.array(fc.nat(2_000), { maxLength: 10 }),
      (list, cuts) => {
        const bytes = encodePairs(list)
        if (!bytes.equals(pairs(list))) return false
        const places = [0, ...cuts.map(cut => Math.min(cut, bytes.length)), bytes.length]
        places.sort((a, b) => a - b)
        const pieces = places.slice(1).map((to, index) => bytes.subarray(places[index], to))
        return JSON.stringify(read(pieces)) === JSON.stringify(list)
      },
    ),
  )
  t.pass()
})

t.test('any bytes are pairs or a PROTOCOL_ERROR', async t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
      try {
        read([Buffer.from(bytes)], { bytes: 200, pairs: 20 })
        return true
      } catch (error) {
        return (error as { code?: unknown }).code === 'PROTOCOL_ERROR'
      }
    }),
    { numRuns: 1_000 },
  )
  t.pass()
})
