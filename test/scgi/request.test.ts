/** The request of SCGI: the specification's example, every cut, what is refused, the limit, and any variables at all. */
import fc from 'fast-check'
import t from 'tap'
import {
  defaultMaxHeadBytes,
  encodeScgiRequest,
  type ScgiRequest,
  ScgiRequestDecoder,
} from '../../src/scgi/request.js'
import { byteByByte, everySplit } from '../support/chunks.js'

const bytes = (text: string) => Buffer.from(text, 'latin1')

/** A netstring by hand. */
const netstring = (content: string) => bytes(`${content.length}:${content},`)

const example = bytes(
  '70:CONTENT_LENGTH\x0027\0SCGI\x001\0REQUEST_METHOD\0POST\0REQUEST_URI\0/deepthought\0,',
)
const question = bytes('What is the answer to life?')

/** The request and all of the body that came with it. */
function read(pieces: Iterable<Buffer>, maxHeadBytes?: number) {
  const decoder = new ScgiRequestDecoder(maxHeadBytes)
  let request: ScgiRequest | undefined
  const body: Buffer[] = []
  for (const piece of pieces) {
    if (request !== undefined) {
      body.push(piece)
      continue
    }
    request = decoder.push(piece)
    if (request !== undefined) body.push(request.rest)
  }
  return request === undefined
    ? undefined
    : { head: request.head, body: Buffer.concat(body).toString('latin1') }
}

const refuses = (text: string, detail: RegExp) => ({
  bytes: bytes(text),
  expected: { code: 'PROTOCOL_ERROR', detail },
})

t.test('H-1: the example of the specification, both ways', async t => {
  const variables = new Map([
    ['REQUEST_METHOD', 'POST'],
    ['REQUEST_URI', '/deepthought'],
  ])
  t.strictSame(encodeScgiRequest(variables, 27).toString('latin1'), example.toString('latin1'))
  const request = read([Buffer.concat([example, question])])
  t.strictSame(request?.head.pairs, [
    ...['CONTENT_LENGTH', '27', 'SCGI', '1', 'REQUEST_METHOD', 'POST'],
    ...['REQUEST_URI', '/deepthought'],
  ])
  t.equal(request?.head.variables.get('REQUEST_URI'), '/deepthought')
  t.equal(request?.head.contentLength, 27)
  t.equal(request?.body, question.toString())
})

t.test(
  'H-2: CONTENT_LENGTH is first and always there, SCGI is 1, whatever else is said',
  async t => {
    const variables = new Map([
      ['A', ''],
      ['SCGI', '2'],
      ['CONTENT_LENGTH', '5'],
      ['GATEWAY_INTERFACE', 'CGI/1.1'],
    ])
    t.equal(
      encodeScgiRequest(variables, 0).toString('latin1'),
      '53:CONTENT_LENGTH\x000\0SCGI\x001\0A\0\0GATEWAY_INTERFACE\0CGI/1.1\0,',
    )
    t.equal(
      encodeScgiRequest(new Map(), 0).toString('latin1'),
      '24:CONTENT_LENGTH\x000\0SCGI\x001\0,',
    )
  },
)

t.test('H-1: bytes that are not UTF-8 travel as they are, and are counted as bytes', async t => {
  const encoded = encodeScgiRequest(new Map([['PATH_INFO', '/\xe9\xff']]), 0)
  t.equal(encoded.toString('latin1').slice(0, 3), '38:')
  t.ok(encoded.toString('latin1').endsWith('PATH_INFO\0/\xe9\xff\0,'))
  t.equal(read([encoded])?.head.variables.get('PATH_INFO'), '/\xe9\xff')
})

t.test('a NUL byte or an empty name is not written', async t => {
  for (const [name, value] of [
    ['A\0B', 'x'],
    ['A', 'x\0y'],
    ['', 'x'],
  ] as const) {
    t.throws(() => encodeScgiRequest(new Map([[name, value]]), 0), { code: 'BAD_HEADER' })
  }
})

t.test('a request cut at any byte is the same request', async t => {
  const whole = Buffer.concat([example, question])
  const expected = read([whole])
  for (const parts of everySplit(whole)) t.strictSame(read(parts), expected, `${parts[0]?.length}`)
  t.strictSame(read(byteByByte(whole)), expected, 'one byte at a time')
  for (let length = 0; length < example.length; length++) {
    t.equal(read([example.subarray(0, length)]), undefined, `${length} bytes are not enough`)
  }
})

const start = 'CONTENT_LENGTH\x000\0SCGI\x001\0'

t.test('H-5: what is no SCGI request is refused, in one piece and byte by byte', async t => {
  const broken = [
    refuses('x:', /decimal length/),
    refuses(':,', /decimal length/),
    refuses('-1:', /decimal length/),
    refuses('GET / HTTP/1.1\r\n', /decimal length/),
    refuses('\x01\x01\x00\x01', /decimal length/),
    refuses(' 24:', /decimal length/),
    refuses('024:', /zero/),
    refuses('00:', /zero/),
    refuses('0:,', /first header/),
    refuses('99999999999999999999', /longer than 65536/),
    refuses(`24:${start};`, /comma/),
    refuses(`25:${start},`.padEnd(30), /comma/),
    refuses(`23:${start},`, /comma/),
    refuses('16:CONTENT_LENGTH\x000,', /NUL behind each/),
    refuses('26:CONTENT_LENGTH\x000\0SCGI\x001\0A\0,', /NUL behind each/),
    refuses('15:CONTENT_LENGTH\0,', /NUL behind each/),
    refuses(`27:${start}\0A\0,`, /no name/),
    refuses(`28:${start}\0\0A\0,`, /no name/),
    refuses('24:SCGI\x001\0CONTENT_LENGTH\x000\0,', /first header/),
    refuses('24:content_length\x000\0SCGI\x001\0,', /first header/),
    refuses('23:CONTENT_LENGTH\0\0SCGI\x001\0,', /not a decimal/),
    refuses('25:CONTENT_LENGTH\x00-1\0SCGI\x001\0,', /not a decimal/),
    refuses('26:CONTENT_LENGTH\x000x1\0SCGI\x001\0,', /not a decimal/),
    refuses('39:CONTENT_LENGTH\x001000000000000000\0SCGI\x001\0,', /not a decimal/),
    refuses('17:CONTENT_LENGTH\x000\0,', /SCGI/),
    refuses('24:CONTENT_LENGTH\x000\0SCGI\x002\0,', /SCGI/),
    refuses('23:CONTENT_LENGTH\x000\0SCGI\0\0,', /SCGI/),
    refuses(`32:${start}A\x001\0A\x002\0,`, /twice/),
    refuses(`41:${start}CONTENT_LENGTH\x000\0,`, /twice/),
  ]
  for (const { bytes, expected } of broken) {
    t.throws(() => read([bytes]), expected, JSON.stringify(bytes.toString('latin1')))
    t.throws(() => read(byteByByte(bytes)), expected, 'byte by byte')
  }
})

t.test('H-5: the longest head, and one byte more', async t => {
  const head = (length: number) =>
    netstring(`${start}A\0${'x'.repeat(length - start.length - 3)}\0`)
  t.equal(read([head(100)], 100)?.head.variables.get('A')?.length, 73)
  t.throws(() => read([head(101)], 100), { code: 'PROTOCOL_ERROR' })
  t.equal(read([head(defaultMaxHeadBytes)])?.head.pairs.length, 6)
  t.throws(() => read([head(defaultMaxHeadBytes + 1)]), { code: 'PROTOCOL_ERROR' })
  t.throws(() => read([bytes('101')], 100), { code: 'PROTOCOL_ERROR' }, 'as soon as it is said')
})

t.test('a long head in small pieces is put together once', async t => {
  const value = 'v'.repeat(4 << 20)
  const encoded = encodeScgiRequest(new Map([['A', value]]), 0)
  const pieces: Buffer[] = []
  for (let at = 0; at < encoded.length; at += 16) pieces.push(encoded.subarray(at, at + 16))
  t.equal(read(pieces, 5 << 20)?.head.variables.get('A')?.length, value.length)
})

const text = (minLength: number) =>
  fc
    .array(fc.integer({ min: 1, max: 255 }), { minLength, maxLength: 60 })
    .map(codes => String.fromCharCode(...codes))

t.test('any variables, cut anywhere, come back', async t => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(text(1), text(0)), { maxLength: 20 }),
      fc.nat(1 << 30),
      fc.array(fc.nat(2_000), { maxLength: 8 }),
      (pairs, length, cuts) => {
        const variables = new Map(pairs)
        variables.delete('SCGI')
        variables.delete('CONTENT_LENGTH')
        const encoded = encodeScgiRequest(variables, length)
        const places = [0, ...cuts.map(cut => Math.min(cut, encoded.length)), encoded.length]
        places.sort((a, b) => a - b)
        const pieces = places.slice(1).map((to, index) => encoded.subarray(places[index], to))
        const head = read(pieces)?.head
        const expected = ['CONTENT_LENGTH', String(length), 'SCGI', '1', ...[...variables].flat()]
        return JSON.stringify(head?.pairs) === JSON.stringify(expected)
      },
    ),
  )
  t.pass()
})

t.test('any bytes are a request, its beginning, or a PROTOCOL_ERROR', async t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (junk, framed) => {
      const content = Buffer.from(junk).toString('latin1')
      try {
        read([framed ? netstring(content) : bytes(content)], 64)
        return true
      } catch (error) {
        return (error as { code?: unknown }).code === 'PROTOCOL_ERROR'
      }
    }),
    { numRuns: 1_000 },
  )
  t.pass()
})
