/** The beginning of a request as one buffer, against bytes by hand (conventions G-1, G-2, G-26). */
import fc from 'fast-check'
import t from 'tap'
import { encodePairs } from '../../src/fastcgi/name-value.js'
import { role } from '../../src/fastcgi/record.js'
import {
  encodeRequest,
  maxParamsBytes,
  type RequestBeginning,
} from '../../src/fastcgi/request-encoder.js'
import * as by from '../support/fastcgi-bytes.js'
import { hex, pairs } from '../support/fastcgi-bytes.js'

const nothing = Buffer.alloc(0)
const plain: RequestBeginning = {
  id: 1,
  role: role.responder,
  keepConnection: false,
  fixedPairs: nothing,
  variables: new Map(),
  body: nothing,
}

/** Header fields and contents, cut by the lengths in the headers alone. */
function cut(bytes: Buffer): { type: number; id: number; content: Buffer; padding: number }[] {
  const found = []
  let at = 0
  while (at < bytes.length) {
    t.equal(bytes[at], 1, 'version')
    t.equal(bytes[at + 7], 0, 'reserved')
    const length = bytes.readUInt16BE(at + 4)
    const padding = bytes.readUInt8(at + 6)
    const content = bytes.subarray(at + 8, at + 8 + length)
    t.ok(bytes.subarray(at + 8 + length, at + 8 + length + padding).every(byte => byte === 0))
    found.push({ type: bytes.readUInt8(at + 1), id: bytes.readUInt16BE(at + 2), content, padding })
    at += 8 + length + padding
  }
  t.equal(at, bytes.length, 'ends with a record')
  return found
}

t.test('G-1: a request without a body, byte for byte', async t => {
  const variables = new Map([
    ['REQUEST_METHOD', 'GET'],
    ['QUERY_STRING', ''],
  ])
  const expected = hex(`
    01 01 00 01 00 08 00 00  00 01 00 00 00 00 00 00
    01 04 00 01 00 21 07 00  0e 03 "REQUEST_METHOD" "GET" 0c 00 "QUERY_STRING" 00*7
    01 04 00 01 00 00 00 00
    01 05 00 01 00 00 00 00`)
  t.equal(encodeRequest({ ...plain, variables }).toString('hex'), expected.toString('hex'))
})

t.test('G-1: with a body at hand, kept connection, another id and role', async t => {
  const bytes = encodeRequest({
    ...plain,
    id: 0x0102,
    role: role.filter,
    keepConnection: true,
    fixedPairs: encodePairs([['FIXED', 'x']]),
    variables: new Map([['A', '\xe9']]),
    body: Buffer.from('a=b'),
  })
  const expected = hex(`
    01 01 01 02 00 08 00 00  00 03 01 00 00 00 00 00
    01 04 01 02 00 0c 04 00  05 01 "FIXEDx" 01 01 "A" e9 00*4
    01 04 01 02 00 00 00 00
    01 05 01 02 00 03 05 00  "a=b" 00*5
    01 05 01 02 00 00 00 00`)
  t.equal(bytes.toString('hex'), expected.toString('hex'))
})

t.test('G-1: a body that follows: STDIN is not ended', async t => {
  const bytes = encodeRequest({ ...plain, variables: new Map([['A', '']]), body: undefined })
  t.same(
    cut(bytes).map(({ type, content }) => [type, content.length]),
    [
      [by.BEGIN, 8],
      [by.PARAMS, 3],
      [by.PARAMS, 0],
    ],
  )
})

t.test('no variables: one empty PARAMS record, since a second would end nothing', async t => {
  t.same(
    cut(encodeRequest(plain)).map(({ type, content }) => [type, content.length]),
    [
      [by.BEGIN, 8],
      [by.PARAMS, 0],
      [by.STDIN, 0],
    ],
  )
})

t.test('G-26: empty names and values have length 0', async t => {
  const params = cut(
    encodeRequest({
      ...plain,
      variables: new Map([
        ['', ''],
        ['A', ''],
      ]),
    }),
  )[1]
  t.equal(params?.content.toString('hex'), '0000' + '010041')
})

t.test(
  'G-2: PARAMS over 65,535 bytes are several records, pairs go over their borders',
  async t => {
    // Around one and two full records: 1 + 4 + 1 + value.
    for (const total of [65_534, 65_535, 65_536, 131_069, 131_070, 131_071, 200_003]) {
      for (const fixed of [0, 100, 66_000]) {
        if (fixed > total - 6) continue
        const fixedPairs =
          fixed === 0 ? nothing : pairs([['F', 'f'.repeat(fixed - (fixed > 200 ? 6 : 3))]])
        const value = Array.from({ length: total - 6 - fixedPairs.length }, (_, i) =>
          String.fromCharCode(i % 251),
        ).join('')
        const variables = new Map([['N', value]])
        const records = cut(
          encodeRequest({ ...plain, fixedPairs, variables, body: Buffer.from('body') }),
        )
        const params = records.filter(each => each.type === by.PARAMS)
        t.equal(params.length, Math.ceil(total / 65_535) + 1, `${total} bytes`)
        t.ok(
          params.slice(0, -2).every(each => each.content.length === 65_535),
          'all but the last are full',
        )
        t.equal(params[params.length - 1]?.content.length, 0)
        const joined = Buffer.concat(params.map(each => each.content))
        t.ok(
          joined.equals(Buffer.concat([fixedPairs, pairs([['N', value]])])),
          `${total}: the same bytes`,
        )
        t.same(
          records.filter(each => each.type === by.STDIN).map(each => String(each.content)),
          ['body', ''],
        )
      }
    }
  },
)

t.test('the limit of 2 MiB, and one past it', async t => {
  const variables = (bytes: number) => new Map([['N', 'v'.repeat(bytes - 6)]])
  t.equal(maxParamsBytes, 2_097_152)
  const records = cut(encodeRequest({ ...plain, variables: variables(maxParamsBytes) }))
  t.equal(
    records.reduce((sum, each) => sum + (each.type === by.PARAMS ? each.content.length : 0), 0),
    maxParamsBytes,
  )
  t.throws(() => encodeRequest({ ...plain, variables: variables(maxParamsBytes + 1) }), {
    code: 'ENVIRONMENT_TOO_LARGE',
  })
  const fixedPairs = pairs([['F', 'f']])
  t.throws(
    () => encodeRequest({ ...plain, fixedPairs, variables: variables(maxParamsBytes - 3) }),
    { code: 'ENVIRONMENT_TOO_LARGE' },
  )
  t.doesNotThrow(() =>
    encodeRequest({ ...plain, fixedPairs, variables: variables(maxParamsBytes - 4) }),
  )
})

t.test('a body at hand of 65,535 bytes fits, one more is refused', async t => {
  const stdin = cut(encodeRequest({ ...plain, body: Buffer.alloc(65_535, 'x') }))[2]
  t.same([stdin?.content.length, stdin?.padding], [65_535, 1])
  t.throws(() => encodeRequest({ ...plain, body: Buffer.alloc(65_536) }), RangeError)
})

t.test('every record is a multiple of 8 bytes long', async t => {
  for (let length = 0; length < 20; length++) {
    const bytes = encodeRequest({
      ...plain,
      variables: new Map([['N', 'v'.repeat(length)]]),
      body: Buffer.alloc(length, 'x'),
    })
    for (const each of cut(bytes)) t.equal((each.content.length + each.padding) % 8, 0, `${length}`)
  }
})

const latin1 = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map(bytes => Buffer.from(bytes).toString('latin1'))

t.test('any variables arrive as the pairs of the specification', async t => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(latin1(150), latin1(300)), { maxLength: 40 }),
      fc.integer({ min: 1, max: 65_535 }),
      fc.uint8Array({ maxLength: 100 }),
      (list, id, body) => {
        const variables = new Map(list)
        const bytes = encodeRequest({ ...plain, id, variables, body: Buffer.from(body) })
        const records = cut(bytes)
        const joined = (type: number) =>
          Buffer.concat(records.filter(each => each.type === type).map(each => each.content))
        return (
          records.every(each => each.id === id) &&
          joined(by.PARAMS).equals(pairs([...variables])) &&
          joined(by.STDIN).equals(Buffer.from(body))
        )
      },
    ),
    { numRuns: 200 },
  )
  t.pass()
})
