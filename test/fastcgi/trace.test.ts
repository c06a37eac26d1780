/** Records as lines: what each looks like, what is hidden, what is bounded, and that no bytes break it. */
import fc from 'fast-check'
import t from 'tap'
import { createTrace } from '../../src/fastcgi/trace.js'
import { byteByByte, everySplit } from '../support/chunks.js'
import * as by from '../support/fastcgi-bytes.js'
import { begin, end, pair, pairs, record } from '../support/fastcgi-bytes.js'

function sent(...pieces: readonly Buffer[]): string[] {
  const lines: string[] = []
  const trace = createTrace(line => lines.push(line))
  for (const piece of pieces) trace.sent(piece)
  return lines
}

const threePairs = pairs([
  ['REQUEST_METHOD', 'GET'],
  ['QUERY_STRING', ''],
  ['SCRIPT_NAME', '/a b'],
])

const table: readonly (readonly [bytes: Buffer, line: string])[] = [
  [begin(1, 1, 1), '1 BEGIN_REQUEST responder keep-conn'],
  [begin(1, 2, 0), '1 BEGIN_REQUEST authorizer'],
  [begin(2, 3, 2), '2 BEGIN_REQUEST filter'],
  [begin(1, 9), '1 BEGIN_REQUEST role 9'],
  [record(by.ABORT, 3), '3 ABORT_REQUEST'],
  [end(1), '1 END_REQUEST app 0 complete'],
  [end(1, 0xffff_ffff), '1 END_REQUEST app 4294967295 complete'],
  [end(1, 0, 1), '1 END_REQUEST app 0 cannot-multiplex'],
  [end(1, 0, 2), '1 END_REQUEST app 0 overloaded'],
  [end(1, 3, 3), '1 END_REQUEST app 3 unknown-role'],
  [end(1, 0, 4), '1 END_REQUEST app 0 protocol status 4'],
  [
    record(by.PARAMS, 1, threePairs, 7),
    '1 PARAMS 50 bytes: REQUEST_METHOD=GET QUERY_STRING= SCRIPT_NAME="/a b"',
  ],
  [record(by.PARAMS, 1), '1 PARAMS end'],
  [record(by.STDIN, 1, 'a=b'), '1 STDIN 3 bytes: a=b'],
  [record(by.STDIN, 1, '', 200), '1 STDIN end'],
  [
    record(by.STDOUT, 1, 'Status: 200\r\n\r\n\xe9'),
    '1 STDOUT 16 bytes: Status: 200\\x0d\\x0a\\x0d\\x0a\\xe9',
  ],
  [record(by.STDOUT, 1, 'x'), '1 STDOUT 1 byte: x'],
  [record(by.STDERR, 1, 'x\x1b[2J'), '1 STDERR 5 bytes: x\\x1b[2J'],
  [record(by.DATA, 1, 'abc'), '1 DATA 3 bytes: abc'],
  [record(by.GET_VALUES, 0, pair('FCGI_MAX_REQS', '')), '0 GET_VALUES 15 bytes: FCGI_MAX_REQS='],
  [
    record(by.GET_VALUES_RESULT, 0, pair('FCGI_MAX_REQS', '8')),
    '0 GET_VALUES_RESULT 16 bytes: FCGI_MAX_REQS=8',
  ],
  [record(by.GET_VALUES, 0), '0 GET_VALUES 0 bytes'],
  [record(by.UNKNOWN_TYPE, 0, '\x2a\0\0\0\0\0\0\0'), '0 UNKNOWN_TYPE 42'],
  [record(42, 5, 'abc'), '5 type 42 3 bytes: abc'],
]

t.test('a line per record, wherever the network cuts', async t => {
  for (const [bytes, line] of table) {
    t.same(sent(bytes), [`> ${line}`])
    for (const parts of everySplit(bytes)) t.same(sent(...parts), [`> ${line}`], line)
    t.same(sent(...byteByByte(bytes)), [`> ${line}`], `${line}, one byte at a time`)
  }
})

t.test('each direction is followed on its own', async t => {
  const lines: string[] = []
  const trace = createTrace(line => lines.push(line))
  const [one, other] = [begin(1), record(by.STDOUT, 1, 'hi')]
  trace.sent(one.subarray(0, 5))
  trace.received(other.subarray(0, 9))
  trace.sent(one.subarray(5))
  trace.received(other.subarray(9))
  trace.ended()
  trace.ended()
  t.same(lines, ['> 1 BEGIN_REQUEST responder', '< 1 STDOUT 2 bytes: hi', '= closed'])
})

t.test('values that are secrets are counted, not shown, also over two records', async t => {
  const secret = pairs([
    ['HTTP_AUTHORIZATION', 'Basic c2VjcmV0'],
    ['HTTP_COOKIE', 'session=c2VjcmV0'],
    ['HTTP_PROXY_AUTHORIZATION', ''],
    ['http_cookie', 'c2VjcmV0'],
    ['HTTP_COOKIES', 'shown'],
  ])
  for (const [before = secret, behind = secret] of everySplit(secret)) {
    const lines = sent(
      record(by.PARAMS, 1, before),
      record(by.PARAMS, 1, behind, 3),
      record(by.PARAMS, 1),
    )
    const text = lines.join('\n')
    t.notMatch(text, /c2Vj|V0/)
    for (const part of [
      'HTTP_AUTHORIZATION=(14 bytes hidden)',
      'HTTP_COOKIE=(16 bytes hidden)',
      'HTTP_PROXY_AUTHORIZATION=(0 bytes hidden)',
      'http_cookie=(8 bytes hidden)',
      'HTTP_COOKIES=shown',
    ]) {
      t.ok(text.includes(part), part)
    }
  }
})

t.test('a pair over two records is shown where it ends, and requests do not mix', async t => {
  const value = pair('NAME', 'value')
  t.same(
    sent(
      record(by.PARAMS, 1, value.subarray(0, 4)),
      record(by.PARAMS, 2, pair('OTHER', 'x')),
      record(by.PARAMS, 1, value.subarray(4)),
    ),
    ['> 1 PARAMS 4 bytes:', '> 2 PARAMS 8 bytes: OTHER=x', '> 1 PARAMS 7 bytes: NAME=value'],
  )
})

t.test('a request that reuses an id begins with a new pair', async t => {
  t.same(
    sent(
      record(by.PARAMS, 1, '\x05\x05NA'),
      record(by.PARAMS, 1),
      record(by.PARAMS, 1, pair('A', 'b')),
    ).slice(2),
    ['> 1 PARAMS 4 bytes: A=b'],
  )
})

t.test('lines are bounded', async t => {
  const at = (length: number) => sent(record(by.STDOUT, 1, 'x'.repeat(length)))[0]
  t.equal(at(200), `> 1 STDOUT 200 bytes: ${'x'.repeat(200)}`)
  t.equal(at(201), `> 1 STDOUT 201 bytes: ${'x'.repeat(200)}…`)
  t.equal(at(65_535), `> 1 STDOUT 65535 bytes: ${'x'.repeat(200)}…`)
  t.equal(
    sent(record(by.PARAMS, 1, pair('A', 'v'.repeat(200))))[0],
    `> 1 PARAMS 206 bytes: A=${'v'.repeat(200)}`,
  )
  t.equal(
    sent(record(by.PARAMS, 1, pair('A', 'v'.repeat(201))))[0],
    `> 1 PARAMS 207 bytes: A=${'v'.repeat(200)}… (201 bytes)`,
  )
  t.equal(
    sent(record(by.PARAMS, 1, pair('N'.repeat(9_000), '')))[0],
    `> 1 PARAMS 9005 bytes: ${'N'.repeat(128)}=`,
  )
  const many = sent(record(by.PARAMS, 1, pairs(Array(3_000).fill(['AB', 'c']))))[0] ?? ''
  t.ok(many.length < 4_100, 'characters of pairs')
  t.match(many, / AB=c … and 2200 more$/)
})

t.test('bytes that are no records are one line, and the other direction goes on', async t => {
  const lines: string[] = []
  const trace = createTrace(line => lines.push(line))
  trace.received(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))
  trace.received(record(by.STDOUT, 1, 'not followed'))
  trace.sent(begin(1))
  trace.ended()
  t.same(lines, [
    '< broken: no FastCGI record begins with HTTP/1.1; not followed further',
    '> 1 BEGIN_REQUEST responder',
    '= closed',
  ])
})

t.test('a body that is too short is one line', async t => {
  t.same(sent(record(by.END, 1, 'abc'), begin(1)), [
    '> 1 END_REQUEST broken: a body of 3 bytes, not 8; not followed further',
  ])
})

t.test('an end in the middle of a record says what is missing', async t => {
  for (const [bytes, line] of [
    [
      record(by.STDOUT, 1, 'abc', 5).subarray(0, 10),
      '< 1 STDOUT broke off: 6 bytes of the record are missing',
    ],
    [begin(1).subarray(0, 3), '< broke off after 3 bytes of a record’s header'],
  ] as const) {
    const lines: string[] = []
    const trace = createTrace(each => lines.push(each))
    trace.received(bytes)
    trace.ended()
    t.same(lines, [line, '= closed'])
  }
})

t.test('what is received may be overwritten afterwards', async t => {
  const lines: string[] = []
  const trace = createTrace(line => lines.push(line))
  const bytes = record(by.PARAMS, 1, pair('NAME', 'value'))
  const chunk = Buffer.from(bytes.subarray(0, 14))
  trace.sent(chunk)
  chunk.fill(0)
  trace.sent(bytes.subarray(14))
  t.same(lines, ['> 1 PARAMS 11 bytes: NAME=value'])
})

t.test('no bytes make it throw, and every line is one line of printable text', async t => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(13), fc.nat(20), fc.uint8Array({ maxLength: 40 })), {
        maxLength: 10,
      }),
      list => {
        const bytes = Buffer.concat(
          list.map(([type, length, rest]) =>
            Buffer.from([1, type, 0, rest.length % 3, 0, length, 0, 0, ...rest]),
          ),
        )
        const lines = sent(...byteByByte(bytes))
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
        return lines.every(line => !/[\x00-\x08\x0a-\x1f\x7f-\x9f]/.test(line))
      },
    ),
    { numRuns: 500 },
  )
  t.pass()
})
