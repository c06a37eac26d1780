/**
 * Bytes → records: bytes by hand (conventions G), every cut, padding, what is refused, and what is held.
 */
import fc from 'fast-check'
import t from 'tap'
import { GatewayError } from '../../src/errors.js'
import type { FcgiRecord } from '../../src/fastcgi/record.js'
import { RecordDecoder } from '../../src/fastcgi/record-decoder.js'
import { byteByByte, everySplit } from '../support/chunks.js'
import * as by from '../support/fastcgi-bytes.js'
import { begin, end, hex, pair, record, stream } from '../support/fastcgi-bytes.js'

/** The records, with the pieces of one content joined: how often a content is cut is the network's business. */
function decode(pieces: Iterable<Buffer>): FcgiRecord[] {
  const found: FcgiRecord[] = []
  const decoder = new RecordDecoder(each => {
    const last = found[found.length - 1]
    if ('content' in each && !each.ends && last !== undefined && 'content' in last && !last.ends) {
      if (last.type === each.type && last.id === each.id) {
        found[found.length - 1] = { ...last, content: Buffer.concat([last.content, each.content]) }
        return
      }
    }
    found.push(each)
  })
  for (const piece of pieces) decoder.push(piece)
  t.ok(decoder.atBoundary, 'ends with a record')
  return found
}

const content = (
  type: 'params' | 'stdin' | 'stdout' | 'stderr' | 'data',
  id: number,
  text: string,
) => ({
  type,
  id,
  content: Buffer.from(text, 'latin1'),
  ends: text === '',
})

const table: readonly (readonly [name: string, bytes: Buffer, records: readonly FcgiRecord[]])[] = [
  [
    'BEGIN',
    hex('01 01 00 01 00 08 00 00  00 01 00 00 00 00 00 00'),
    [{ type: 'beginRequest', id: 1, role: 1, keepConnection: false }],
  ],
  [
    'BEGIN, keep',
    hex('01 01 00 01 00 08 00 00  00 01 01 00 00 00 00 00'),
    [{ type: 'beginRequest', id: 1, role: 1, keepConnection: true }],
  ],
  [
    'BEGIN, other flags',
    begin(65_535, 0x1234, 0xfe),
    [{ type: 'beginRequest', id: 65_535, role: 0x1234, keepConnection: false }],
  ],
  [
    'PARAMS',
    hex('01 04 00 01 00 21 07 00 0e 03 "REQUEST_METHOD" "GET" 0c 00 "QUERY_STRING" 00*7'),
    [content('params', 1, '\x0e\x03REQUEST_METHODGET\x0c\x00QUERY_STRING')],
  ],
  ['PARAMS end', hex('01 04 00 01 00 00 00 00'), [content('params', 1, '')]],
  ['STDIN end', hex('01 05 00 01 00 00 00 00'), [content('stdin', 1, '')]],
  ['STDOUT', hex('01 06 01 02 00 03 05 00 "a" e9 00 00*5'), [content('stdout', 258, 'a\xe9\0')]],
  ['STDERR', hex('01 07 00 01 00 01 00 00 "x"'), [content('stderr', 1, 'x')]],
  ['DATA', hex('01 08 00 01 00 01 07 00 "x" 00*7'), [content('data', 1, 'x')]],
  ['ABORT', hex('01 02 00 01 00 00 00 00'), [{ type: 'abortRequest', id: 1 }]],
  [
    'ABORT with a body that nobody asked for',
    record(by.ABORT, 1, 'abc', 5),
    [{ type: 'abortRequest', id: 1 }],
  ],
  [
    'END app 2',
    hex('01 03 00 01 00 08 00 00  00 00 00 02 00 00 00 00'),
    [{ type: 'endRequest', id: 1, appStatus: 2, protocolStatus: 0 }],
  ],
  [
    'END app 2^32 - 1, status 255',
    end(1, 0xffff_ffff, 255),
    [{ type: 'endRequest', id: 1, appStatus: 0xffff_ffff, protocolStatus: 255 }],
  ],
  [
    'END with a longer body',
    record(by.END, 1, '\0\0\0\x05\x02\0\0\0more'),
    [{ type: 'endRequest', id: 1, appStatus: 5, protocolStatus: 2 }],
  ],
  [
    'GET_VALUES',
    hex('01 09 00 00 00 10 00 00  0e 00 "FCGI_MAX_CONNS"'),
    [{ type: 'getValues', values: [['FCGI_MAX_CONNS', '']] }],
  ],
  ['GET_VALUES of nothing', record(by.GET_VALUES, 0), [{ type: 'getValues', values: [] }]],
  [
    'GET_VALUES_RESULT',
    record(
      by.GET_VALUES_RESULT,
      0,
      by.pairs([
        ['A', '1'],
        ['', ''],
      ]),
      3,
    ),
    [
      {
        type: 'getValuesResult',
        values: [
          ['A', '1'],
          ['', ''],
        ],
      },
    ],
  ],
  [
    'UNKNOWN_TYPE',
    hex('01 0b 00 00 00 08 00 00  2a 00 00 00 00 00 00 00'),
    [{ type: 'unknownType', unknown: 42 }],
  ],
  ['type 12', record(12, 7, 'x'.repeat(300), 9), [{ type: 'unknown', id: 7, code: 12 }]],
  ['type 0', record(0, 0), [{ type: 'unknown', id: 0, code: 0 }]],
  ['type 255', record(255, 0, 'x'), [{ type: 'unknown', id: 0, code: 255 }]],
]

t.test('§G, §3.3: each record, whole, cut at every byte, and one byte at a time', async t => {
  for (const [name, bytes, records] of table) {
    t.strictSame(decode([bytes]), records, name)
    for (const parts of everySplit(bytes)) t.strictSame(decode(parts), records, `${name}, cut`)
    t.strictSame(decode(byteByByte(bytes)), records, `${name}, one byte at a time`)
  }
})

t.test('G-4, G-5: a whole answer, cut at every byte', async t => {
  const answer = Buffer.concat([
    record(by.STDERR, 1, 'a warning', 7),
    record(by.STDOUT, 1, 'Content-Type: te', 3),
    record(by.STDOUT, 2, 'other', 1),
    record(by.STDOUT, 1, 'xt/plain\n\nhi'),
    stream(by.STDOUT, 1, ''),
    record(by.STDERR, 1, '', 8),
    end(1),
  ])
  const whole = decode([answer])
  t.same(
    whole.map(each => each.type),
    ['stderr', 'stdout', 'stdout', 'stdout', 'stdout', 'stderr', 'endRequest'],
  )
  for (const parts of everySplit(answer)) t.strictSame(decode(parts), whole, `${parts[0]?.length}`)
  t.strictSame(decode(byteByByte(answer)), whole)
})

t.test('G-6: 0 to 255 bytes of padding, also on empty records', async t => {
  for (let padding = 0; padding <= 255; padding++) {
    const bytes = Buffer.concat([
      record(by.STDOUT, 1, 'x', padding),
      record(by.STDOUT, 1, '', padding),
      record(by.ABORT, 1, '', padding),
      record(12, 1, '', padding),
      end(1),
    ])
    const expected = ['stdout', 'stdout', 'abortRequest', 'unknown', 'endRequest']
    t.same(
      decode([bytes]).map(each => each.type),
      expected,
      `${padding}`,
    )
    t.same(
      decode(byteByByte(bytes)).map(each => each.type),
      expected,
      `${padding}, cut`,
    )
  }
})

t.test('G-15: a version other than 1 is refused', async t => {
  for (let version = 0; version <= 255; version++) {
    const bytes = record(by.STDOUT, 1, 'x')
    bytes[0] = version
    const push = () => decode([bytes])
    if (version === 1) t.doesNotThrow(push)
    else
      t.throws(push, {
        code: 'PROTOCOL_ERROR',
        detail: `A record has version ${version}, not 1.`,
      })
  }
  t.throws(() => decode([Buffer.from('HTTP/1.1 400 Bad Request\r\n')]), {
    code: 'PROTOCOL_ERROR',
  })
})

t.test('G-15: bytes that no record begins with are refused before a header is whole', async t => {
  const decoder = new RecordDecoder(() => t.fail('there is no record'))
  t.throws(() => decoder.push(Buffer.from('S')), { code: 'PROTOCOL_ERROR' })
})

t.test('bodies shorter than the specification’s 8 bytes are refused', async t => {
  for (const type of [by.BEGIN, by.END, by.UNKNOWN_TYPE]) {
    for (let length = 0; length < 8; length++) {
      const bytes = record(type, 1, Buffer.alloc(length), 4)
      t.throws(() => decode([bytes]), { code: 'PROTOCOL_ERROR' }, `type ${type}, ${length} bytes`)
      t.throws(() => decode(byteByByte(bytes)), { code: 'PROTOCOL_ERROR' })
    }
    t.equal(decode([record(type, 1, Buffer.alloc(8))]).length, 1)
  }
})

t.test(
  'GET_VALUES whose pairs are longer than the record, or more than 100, is refused',
  async t => {
    t.throws(() => decode([record(by.GET_VALUES, 0, '\x05\x00FCGI')]), { code: 'PROTOCOL_ERROR' })
    t.throws(() => decode([record(by.GET_VALUES, 0, '\x05')]), { code: 'PROTOCOL_ERROR' })
    const many = (count: number) =>
      record(by.GET_VALUES, 0, Buffer.concat(Array(count).fill(pair('A', ''))))
    t.equal(decode([many(100)]).length, 1)
    t.throws(() => decode([many(101)]), { code: 'PROTOCOL_ERROR' })
  },
)

t.test('contents of streams are handed on without a copy', async t => {
  const chunk = Buffer.concat([stream(by.STDOUT, 1, 'abc'), record(by.STDERR, 1, 'def', 2)])
  const pieces: Buffer[] = []
  const decoder = new RecordDecoder(each => {
    if ('content' in each && !each.ends) pieces.push(each.content)
  })
  decoder.push(chunk)
  t.same(pieces.map(String), ['abc', 'def'])
  for (const piece of pieces) t.equal(piece.buffer, chunk.buffer, 'the same memory')
  chunk.fill('z')
  t.same(pieces.map(String), ['zzz', 'zzz'], 'a change of the chunk is a change of the piece')
})

t.test('a content that comes in pieces is handed on in those pieces, at once', async t => {
  const pieces: string[] = []
  const decoder = new RecordDecoder(each => {
    pieces.push('content' in each ? `${each.content}${each.ends ? '.' : ''}` : each.type)
  })
  const bytes = stream(by.STDOUT, 1, 'abcdef')
  decoder.push(bytes.subarray(0, 8))
  t.same(pieces, [])
  decoder.push(bytes.subarray(8, 10))
  t.same(pieces, ['ab'])
  t.notOk(decoder.atBoundary)
  decoder.push(bytes.subarray(10))
  t.same(pieces, ['ab', 'cdef', '.'])
  t.ok(decoder.atBoundary)
})

t.test('atBoundary is false within a header, a content and a padding', async t => {
  const bytes = record(by.STDOUT, 1, 'ab', 3)
  const decoder = new RecordDecoder(() => {})
  const seen = byteByByte(bytes).map(byte => {
    decoder.push(byte)
    return decoder.atBoundary
  })
  t.same(seen, [...Array(bytes.length - 1).fill(false), true])
})

t.test('what is held does not grow with what comes', async t => {
  const megabyte = Buffer.concat([
    ...Array.from({ length: 8 }, () => record(by.STDOUT, 1, Buffer.alloc(65_535), 255)),
    ...Array.from({ length: 8 }, () => record(99, 1, Buffer.alloc(65_535), 255)),
  ])
  let bytes = 0
  const decoder = new RecordDecoder(each => {
    if ('content' in each) bytes += each.content.length
  })
  decoder.push(megabyte)
  const before = process.memoryUsage().arrayBuffers
  for (let round = 0; round < 64; round++) decoder.push(megabyte)
  t.equal(bytes, 65 * 8 * 65_535)
  t.ok(process.memoryUsage().arrayBuffers - before < 1 << 20, 'less than a megabyte for 64')
})

const anyRecord = fc.record({
  type: fc.integer({ min: 0, max: 14 }),
  id: fc.integer({ min: 0, max: 65_535 }),
  text: fc.uint8Array({ maxLength: 60 }).map(bytes => Buffer.from(bytes).toString('latin1')),
  padding: fc.integer({ min: 0, max: 255 }),
})

/** The bytes of an arbitrary record, and what they mean by the tables of the specification. */
function meaning({
  type,
  id,
  text,
  padding,
}: {
  type: number
  id: number
  text: string
  padding: number
}) {
  const name = (['params', 'stdin', 'stdout', 'stderr', 'data'] as const)[type - by.PARAMS]
  if (name !== undefined)
    return { bytes: record(type, id, text, padding), means: content(name, id, text) }
  const bytes = record(type, id, `${text}12345678`.slice(0, 8).padEnd(8), padding)
  const body = bytes.subarray(8)
  switch (type) {
    case by.BEGIN:
      return {
        bytes,
        means: {
          type: 'beginRequest',
          id,
          role: body.readUInt16BE(0),
          keepConnection: (body.readUInt8(2) & 1) === 1,
        },
      }
    case by.ABORT:
      return { bytes, means: { type: 'abortRequest', id } }
    case by.END:
      return {
        bytes,
        means: {
          type: 'endRequest',
          id,
          appStatus: body.readUInt32BE(0),
          protocolStatus: body.readUInt8(4),
        },
      }
    case by.GET_VALUES:
      return {
        bytes: record(type, id, pair(text, text), padding),
        means: { type: 'getValues', values: [[text, text]] },
      }
    case by.GET_VALUES_RESULT:
      return {
        bytes: record(type, id, pair('', text), padding),
        means: { type: 'getValuesResult', values: [['', text]] },
      }
    case by.UNKNOWN_TYPE:
      return { bytes, means: { type: 'unknownType', unknown: body.readUInt8(0) } }
    default:
      return { bytes, means: { type: 'unknown', id, code: type } }
  }
}

t.test('any records, cut anywhere, are those records', async t => {
  fc.assert(
    fc.property(
      fc.array(anyRecord, { maxLength: 12 }),
      fc.array(fc.nat(3_000), { maxLength: 12 }),
      (list, cuts) => {
        const parts = list.map(meaning)
        const bytes = Buffer.concat(parts.map(part => part.bytes))
        const places = [0, ...cuts.map(cut => Math.min(cut, bytes.length)), bytes.length].sort(
          (a, b) => a - b,
        )
        const pieces = places.slice(1).map((to, index) => bytes.subarray(places[index], to))
        // Joined as `decode` joins: neighbours of one stream.
        const whole = JSON.stringify(decode([Buffer.concat(parts.map(part => part.bytes))]))
        const alone = parts.flatMap(part => decode([part.bytes]))
        return (
          JSON.stringify(decode(pieces)) === whole &&
          JSON.stringify(alone) === JSON.stringify(parts.map(part => part.means))
        )
      },
    ),
    { numRuns: 300 },
  )
  t.pass()
})

t.test('any bytes are records or a PROTOCOL_ERROR, nothing else', async t => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 600 }).map(each => Buffer.from(each)),
    // Mostly valid: a right version and small numbers get past the header.
    fc
      .array(fc.tuple(fc.nat(12), fc.nat(12), fc.nat(9), fc.uint8Array({ maxLength: 20 })), {
        maxLength: 20,
      })
      .map(list =>
        Buffer.concat(
          list.map(([type, length, padding, rest]) =>
            Buffer.from([1, type, 0, 1, 0, length, padding, 0, ...rest]),
          ),
        ),
      ),
  )
  fc.assert(
    fc.property(bytes, fc.integer({ min: 1, max: 50 }), (all, step) => {
      const decoder = new RecordDecoder(() => {})
      try {
        for (let at = 0; at < all.length; at += step) decoder.push(all.subarray(at, at + step))
        return true
      } catch (error) {
        return error instanceof GatewayError && error.code === 'PROTOCOL_ERROR'
      }
    }),
    { numRuns: 2_000 },
  )
  t.pass()
})
