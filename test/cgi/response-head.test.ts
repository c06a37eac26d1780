import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  type HeadOptions,
  type ResponseHead,
  ResponseHeadParser,
} from '../../src/cgi/response-head.js'
import { GatewayError } from '../../src/errors.js'
import { byteByByte, everySplit } from '../support/chunks.js'

const defaults: HeadOptions = {
  maxBytes: 32 * 1024,
  maxFields: 100,
  maxLineBytes: 16 * 1024,
  statusLine: 'accepted',
  sendfile: false,
  decodeChunked: false,
}

type Outcome = { head: ResponseHead; rest: string } | { code: string; detail: string }

/** Parses the chunks; `rest` is all that follows the head. Ending without a head is the outcome of finish(). */
function parse(chunks: Iterable<Buffer>, options: Partial<HeadOptions> = {}): Outcome {
  const parser = new ResponseHeadParser({ ...defaults, ...options })
  let parsed: { head: ResponseHead; rest: Buffer[] } | undefined
  try {
    for (const chunk of chunks) {
      if (parsed !== undefined) {
        parsed.rest.push(chunk)
        continue
      }
      const result = parser.push(chunk)
      if (result !== undefined) parsed = { head: result.head, rest: [result.rest] }
    }
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    return { code: error.code, detail: error.detail }
  }
  if (parsed !== undefined) {
    return { head: parsed.head, rest: Buffer.concat(parsed.rest).toString('latin1') }
  }
  const { code, detail } = parser.finish()
  return { code, detail }
}

/** Parses the text whole, cut in two at every place, and byte by byte; demands the same each time. */
function parseEverySplit(text: string, options: Partial<HeadOptions> = {}): Outcome {
  const bytes = Buffer.from(text, 'latin1')
  const whole = parse([bytes], options)
  for (const parts of everySplit(bytes)) assert.deepEqual(parse(parts, options), whole)
  assert.deepEqual(parse(byteByByte(bytes), options), whole)
  return whole
}

const plain: ResponseHead = {
  status: 200,
  reason: undefined,
  headers: [],
  length: undefined,
  close: false,
  statusGiven: false,
  localRedirect: undefined,
  sendfile: undefined,
  chunked: false,
  warnings: [],
}

interface Case {
  name: string
  text: string
  options?: Partial<HeadOptions>
  head: Partial<ResponseHead>
  rest?: string
}

const html = ['Content-Type', 'text/html']

const accepted: Case[] = [
  {
    name: 'E-1: LF',
    text: 'Content-Type: text/plain\n\nhi',
    head: { headers: ['Content-Type', 'text/plain'] },
    rest: 'hi',
  },
  {
    name: 'E-1: CRLF and LF mixed, a body that begins with line ends',
    text: 'Content-Type: text/html\r\nX-A: 1\n\r\n\r\n\nhi',
    head: { headers: [...html, 'X-A', '1'] },
    rest: '\r\n\nhi',
  },
  {
    name: 'E-2: Status in any case, with a reason, is not forwarded',
    text: 'sTaTuS: 404 Not Here\nContent-Type: text/html\n\n',
    head: { status: 404, reason: 'Not Here', statusGiven: true, headers: html },
  },
  {
    name: 'E-3: Status without reason',
    text: 'Status: 404\n\n',
    head: { status: 404, statusGiven: true },
  },
  {
    name: 'E-4: 100 and 999 are the ends of the range',
    text: 'Status: 999 Odd\n\n',
    head: { status: 999, reason: 'Odd', statusGiven: true },
  },
  {
    name: 'E-5: only a Location with one slash is a local redirect',
    text: 'Location: /other?x=1\n\n',
    head: {
      status: 302,
      headers: ['Location', '/other?x=1'],
      localRedirect: '/other?x=1',
    },
  },
  {
    name: 'E-7: two slashes are a client redirect',
    text: 'Location: //evil.test/\n\n',
    head: { status: 302, headers: ['Location', '//evil.test/'] },
  },
  {
    name: 'E-8: another field makes it a client redirect',
    text: 'Location: /x\nX-A: 1\n\n',
    head: { status: 302, headers: ['Location', '/x', 'X-A', '1'] },
  },
  {
    name: 'E-8: a Status makes it a client redirect',
    text: 'Status: 302 Found\nLocation: /x\n\n',
    head: { status: 302, reason: 'Found', statusGiven: true, headers: ['Location', '/x'] },
  },
  {
    name: 'E-8: a dropped field counts as another field',
    text: 'Location: /x\nX-A : 1\n\n',
    head: {
      status: 302,
      headers: ['Location', '/x'],
      warnings: ['Dropped "X-A : 1": a space before the colon.'],
    },
  },
  {
    name: 'E-9: an absolute Location is 302',
    text: 'Location: http://a.test/\n\n',
    head: { status: 302, headers: ['Location', 'http://a.test/'] },
  },
  {
    name: 'E-10: Location with Status 301, Content-Type and body',
    text: 'Location: http://a.test/\nStatus: 301\nContent-Type: text/html\n\nmoved',
    head: {
      status: 301,
      statusGiven: true,
      headers: ['Location', 'http://a.test/', ...html],
    },
    rest: 'moved',
  },
  {
    name: 'E-11: a relative Location passes verbatim',
    text: 'Location: relative/x\n\n',
    head: { status: 302, headers: ['Location', 'relative/x'] },
  },
  {
    name: 'E-13, E-14: duplicates are kept, in order',
    text: 'Set-Cookie: a=1\nX-A: 1\nSet-Cookie: b=2\nX-A: 1\n\n',
    head: { headers: ['Set-Cookie', 'a=1', 'X-A', '1', 'Set-Cookie', 'b=2', 'X-A', '1'] },
  },
  {
    name: 'E-15: the first Content-Type, Status and Location win',
    text:
      'Content-Type: text/html\ncontent-type: text/plain\nStatus: 301\nStatus: 200\n' +
      'Location: /a\nLocation: /b\n\n',
    head: {
      status: 301,
      statusGiven: true,
      headers: [...html, 'Location', '/a'],
      warnings: [
        'Dropped a second content-type: "text/plain".',
        'Dropped a second Status: "200".',
        'Dropped a second Location: "/b".',
      ],
    },
  },
  {
    name: 'E-16: no Content-Type, none invented; an empty head is said',
    text: '\nhello',
    head: { warnings: ['The head has no fields: it begins with an empty line.'] },
    rest: 'hello',
  },
  {
    name: 'E-17: Content-Length is taken out; the same one twice is fine',
    text: 'Content-Length: 10\nX-A: 1\ncontent-length: 10\n\n',
    head: { length: 10, headers: ['X-A', '1'] },
  },
  {
    name: 'E-17: of two different lengths the first wins',
    text: 'Content-Length: 10\nContent-Length: 11\n\n',
    head: { length: 10, warnings: ['Dropped a second Content-Length: "11".'] },
  },
  ...['-1', '+1', '1, 1', '0x1', '1e3', '', '99999999999999999999'].map(value => ({
    name: `E-17: the length "${value}" is dropped`,
    text: `Content-Length: ${value}\n\n`,
    head: { warnings: [`Dropped Content-Length "${value}": not a number of bytes.`] },
  })),
  {
    name: 'E-19: with decodeChunked the coding is reported and the length dropped',
    text: 'Transfer-Encoding: Chunked\nContent-Length: 3\n\n3\r\nabc',
    options: { decodeChunked: true },
    head: {
      chunked: true,
      warnings: ['Dropped Content-Length: the body is in the chunked coding.'],
    },
    rest: '3\r\nabc',
  },
  {
    name: 'E-20: hop-by-hop fields and those named in Connection are dropped, close is honoured',
    text:
      'Connection: X-Hop, Close\nX-Hop: 1\nKeep-Alive: 5\nUpgrade: h2c\nTE: a\nTrailer: b\n' +
      'Proxy-Connection: c\nX-End: 2\n\n',
    head: { close: true, headers: ['X-End', '2'] },
  },
  {
    name: 'E-20: Connection: keep-alive is no close',
    text: 'Connection: keep-alive\nX-A: 1\n\n',
    head: { headers: ['X-A', '1'] },
  },
  {
    name: 'E-23: a 103 is a head like any other, the final one is in the rest',
    text: 'Status: 103\nLink: </a>\n\nContent-Type: text/html\n\nhi',
    head: { status: 103, statusGiven: true, headers: ['Link', '</a>'] },
    rest: 'Content-Type: text/html\n\nhi',
  },
  {
    name: 'E-24: the first line of cgitb',
    text: '<!--: spam\nContent-Type: text/html\n\n<body>',
    head: { headers: html, warnings: ['Dropped "<!--: spam": a bad field name.'] },
    rest: '<body>',
  },
  {
    name: 'E-26: bad names',
    text: ': empty\nA B: 1\nX\xe9: 1\nX-Tab\t: 1\nContent-Type: text/html\n\n',
    head: {
      headers: html,
      warnings: [
        'Dropped ": empty": a bad field name.',
        'Dropped "A B: 1": a bad field name.',
        'Dropped "X\\xe9: 1": a bad field name.',
        'Dropped "X-Tab\t: 1": a space before the colon.',
      ],
    },
  },
  {
    name: 'E-26: control characters in a value',
    text: 'X-A: a\0b\nX-B: a\x7f\nX-C: a\x1b[m\nX-D: tab\tin\xff\n\n',
    head: {
      headers: ['X-D', 'tab\tin\xff'],
      warnings: [
        'Dropped "X-A: a\\x00b": control characters.',
        'Dropped "X-B: a\\x7f": control characters.',
        'Dropped "X-C: a\\x1b[m": control characters.',
      ],
    },
  },
  {
    name: 'E-26: a folded field is dropped whole, its neighbours stay',
    text: 'X-A: 1\nX-Fold: one\n two\n\tthree: 3\nX-B: 2\n\n',
    head: {
      headers: ['X-A', '1', 'X-B', '2'],
      warnings: ['Dropped "X-Fold: one": a field folded over two lines.'],
    },
  },
  {
    name: 'E-26: a fold after the status line is dropped alone',
    text: 'HTTP/1.1 200 OK\n folded\nX-A: 1\n\n',
    head: { reason: 'OK', statusGiven: true, headers: ['X-A', '1'] },
  },
  {
    name: 'E-26: control characters in a reason cost the reason, not the status',
    text: 'Status: 404 Not\x07Found\n\n',
    head: { status: 404, statusGiven: true, warnings: ['Dropped the reason "Not\\x07Found".'] },
  },
  {
    name: 'E-27: an injected line feed begins a new line',
    text: 'X-A: 1\r\nX-Injected: 2\n\n',
    head: { headers: ['X-A', '1', 'X-Injected', '2'] },
  },
  {
    name: 'E-27: a carriage return alone never leaves: the field is dropped',
    text: 'X-A: 1\rX-Injected: 2\nX-B: 3\r\n\n',
    head: {
      headers: ['X-B', '3'],
      warnings: ['Dropped "X-A: 1\\x0dX-Injected: 2": control characters.'],
    },
  },
  {
    name: 'values: blanks around go, colons and empty values stay',
    text: 'X-A: \t a: b \t\nX-B:\nX-C:x\n\n',
    head: { headers: ['X-A', 'a: b', 'X-B', '', 'X-C', 'x'] },
  },
  {
    name: 'E-29: X-Sendfile is taken out where the route allows it',
    text: 'X-Sendfile: /srv/a b.pdf\nX-Accel-Redirect: /b\nContent-Type: text/html\n\n',
    options: { sendfile: true },
    head: {
      headers: html,
      sendfile: '/srv/a b.pdf',
      warnings: ['Dropped a second X-Accel-Redirect: "/b".'],
    },
  },
  {
    name: 'E-29: elsewhere it is an ordinary field',
    text: 'X-Sendfile: /a\n\n',
    head: { headers: ['X-Sendfile', '/a'] },
  },
  {
    name: 'E-35: an nph- script closes',
    text: 'HTTP/1.0 404 Gone Fishing\r\nContent-Type: text/html\r\n\r\nx',
    options: { statusLine: 'required' },
    head: {
      status: 404,
      reason: 'Gone Fishing',
      statusGiven: true,
      close: true,
      headers: html,
    },
    rest: 'x',
  },
  {
    name: 'G-25: a status line is accepted and wins over a Status',
    text: 'HTTP/1.1 201\nStatus: 500\n\n',
    head: { status: 201, statusGiven: true, warnings: ['Dropped a second Status: "500".'] },
  },
]

for (const { name, text, options, head, rest } of accepted) {
  t.test(`${name}, however it is cut`, async t => {
    const expected = { head: { ...plain, ...head }, rest: rest ?? '' }
    t.strictSame(parseEverySplit(text, options), expected)
  })
}

interface Refusal {
  name: string
  text: string
  options?: Partial<HeadOptions>
  code: string
  detail: string
}

const refused: Refusal[] = [
  ...['abc', '99', '1000', '099', '', '2 OK', '200OK', '-20', '2e2'].map(value => ({
    name: `E-4: Status: ${value}`,
    text: `Status: ${value}\n\n`,
    code: 'BAD_STATUS',
    detail: `It printed "${value}"`,
  })),
  {
    name: 'E-4: a bad number in the status line',
    text: 'HTTP/1.1 20 OK\n\n',
    code: 'BAD_STATUS',
    detail: 'It printed "20 OK"',
  },
  {
    name: 'E-19: Transfer-Encoding',
    text: 'Transfer-Encoding: chunked\n\n',
    code: 'RESPONSE_TRANSFER_ENCODING',
    detail: 'Its value is "chunked"',
  },
  {
    name: 'E-19: another coding',
    text: 'Transfer-Encoding: gzip, chunked\n\n',
    options: { decodeChunked: true },
    code: 'RESPONSE_TRANSFER_ENCODING',
    detail: 'Its value is "gzip, chunked"',
  },
  {
    name: 'E-25: no colon in the first line',
    text: 'hello \x1b[31m world\nmore',
    code: 'BAD_HEAD',
    detail: 'Its first line is "hello \\x1b[31m world"',
  },
  {
    name: 'E-25: an endless first line is quoted in part',
    text: `${'x'.repeat(300)}\n`,
    code: 'BAD_HEAD',
    detail: `Its first line is "${'x'.repeat(200)}…"`,
  },
  {
    name: 'E-25: the empty line was forgotten',
    text: 'Content-Type: text/html\n<html>\n',
    code: 'BAD_HEAD',
    detail: 'Line 2 has no colon (an empty line must come before the body): "<html>"',
  },
  {
    name: 'E-35: nph- without a status line',
    text: 'Content-Type: text/html\n\n',
    options: { statusLine: 'required' },
    code: 'BAD_HEAD',
    detail:
      'Its name begins with nph-, so its first line must be an HTTP status line, not "Content-Type: text/html"',
  },
  {
    name: 'G-25: a status line where it is refused',
    text: 'HTTP/1.1 200 OK: fine\n\n',
    options: { statusLine: 'refused' },
    code: 'BAD_HEAD',
    detail: 'Its first line is an HTTP status line: "HTTP/1.1 200 OK: fine"',
  },
  { name: 'E-30: nothing', text: '', code: 'NO_OUTPUT', detail: '' },
  {
    name: 'E-30: no empty line',
    text: 'Content-Type: text/plain\r\nX-A: \x07',
    code: 'HEAD_INCOMPLETE',
    detail: 'It printed "Content-Type: text/plain\\x0d\\nX-A: \\x07"',
  },
  {
    name: 'E-30: text without any line end',
    text: 'hello',
    code: 'HEAD_INCOMPLETE',
    detail: 'It printed "hello"',
  },
]

for (const { name, text, options, code, detail } of refused) {
  t.test(`${name}: ${code}, however it is cut`, async t => {
    t.strictSame(parseEverySplit(text, options), { code, detail })
  })
}

t.test('E-28: each limit, at it and one past it, however it is cut', async t => {
  const limits: [string, Partial<HeadOptions>, string, string, RegExp][] = [
    [
      'bytes',
      { maxBytes: 12 },
      'X-A: 1234\r\n\n',
      'X-A: 12345\r\n\n',
      /no empty line within 12 bytes/,
    ],
    ['bytes, body not counted', { maxBytes: 8 }, 'X-A: 1\n\nbody', 'X-A: 12\n\nbody', /8 bytes/],
    [
      'lines',
      { maxFields: 2 },
      'A: 1\nB : 2\n\n',
      'A: 1\nB : 2\nC: 3\n\n',
      /more than 2 header lines/,
    ],
    [
      'folds are lines',
      { maxFields: 2 },
      'A: 1\n b\n\n',
      'A: 1\n b\n c\n\n',
      /more than 2 header lines/,
    ],
    ['line', { maxLineBytes: 6 }, 'A: 123\n\n', 'A: 1234\n\n', /a line has more than 6 bytes/],
    [
      'line with CR',
      { maxLineBytes: 6 },
      'A: 12\r\n\n',
      'A: 123\r\n\n',
      /a line has more than 6 bytes/,
    ],
  ]
  for (const [name, options, good, bad, message] of limits) {
    t.hasProp(parseEverySplit(good, options), 'head', `${name}: at the limit`)
    t.match(parseEverySplit(bad, options), {
      code: 'RESPONSE_HEAD_TOO_LARGE',
      detail: message,
    })
  }
})

t.test('E-28: the first limit reached is the one named', async t => {
  const options = { maxBytes: 20, maxFields: 2, maxLineBytes: 10 }
  const cases: [string, string][] = [
    ['Status: x\nHellohellohellohello', 'BAD_STATUS'],
    ['A: 1\nB: 2\nC: 3\nhello\n', 'RESPONSE_HEAD_TOO_LARGE'],
    ['A: 1234567\nB: 123456', 'RESPONSE_HEAD_TOO_LARGE'],
    ['A: 1\nno colon\nC: 3\n', 'BAD_HEAD'],
  ]
  for (const [text, code] of cases) t.match(parseEverySplit(text, options), { code })
})

t.test('the error comes with the line, not with the end of a program that goes on', async t => {
  const parser = new ResponseHeadParser(defaults)
  t.throws(() => parser.push(Buffer.from('hello\n')), { code: 'BAD_HEAD' })
})

t.test('seen: what came, at most maxBytes, for diagnosis', async t => {
  const parser = new ResponseHeadParser({ ...defaults, maxBytes: 8 })
  t.equal(parser.seen.length, 0)
  parser.push(Buffer.from('X-A: '))
  t.equal(parser.seen.toString(), 'X-A: ')
  t.throws(() => parser.push(Buffer.from('12345')), { code: 'RESPONSE_HEAD_TOO_LARGE' })
  t.equal(parser.seen.toString(), 'X-A: 123')

  const whole = new ResponseHeadParser({ ...defaults, maxBytes: 8 })
  t.throws(() => whole.push(Buffer.from('X-A: 12345')), { code: 'RESPONSE_HEAD_TOO_LARGE' })
  t.equal(whole.seen.toString(), 'X-A: 123')
})

t.test('finish: a long output is quoted in part', async t => {
  const parser = new ResponseHeadParser(defaults)
  parser.push(Buffer.from(`X: ${'y'.repeat(500)}`))
  t.match(parser.finish().detail, /^It printed "X: y{197}"…$/)
})

t.test('a chunk of the program is never written into', async t => {
  const first = Buffer.from('Content-Type: text/plain\n')
  const parser = new ResponseHeadParser(defaults)
  parser.push(first.subarray(0, 5))
  parser.push(Buffer.from('XXXXX'))
  t.equal(first.toString(), 'Content-Type: text/plain\n')
})

t.test('a head in one chunk is read where it lies; the rest is a view', async t => {
  const chunk = Buffer.from('A: 1\n\nbody')
  const parsed = new ResponseHeadParser(defaults).push(chunk)
  t.equal(parsed?.rest.buffer, chunk.buffer)
  t.equal(parsed?.rest.byteOffset, chunk.byteOffset + 6)
})

const fragment = fc.oneof(
  fc.constantFrom(
    'Status: 404 No\n',
    'Status: x\n',
    'Location: /a\n',
    'Content-Type: text/html\r\n',
    'Content-Length: 3\n',
    'Transfer-Encoding: chunked\n',
    'Connection: x-a, close\n',
    'HTTP/1.1 200 OK\n',
    'X-A: 1\n',
    ' fold\n',
    'no colon\n',
    '\n',
    '\r\n',
    '\r',
    ':',
    'X',
  ),
  fc.uint8Array({ maxLength: 6 }).map(bytes => Buffer.from(bytes).toString('latin1')),
)

t.test(
  'property: only GatewayErrors, the same result however it is cut, nothing raw gets out',
  async () => {
    fc.assert(
      fc.property(
        fc.array(fragment, { maxLength: 12 }),
        fc.array(fc.nat({ max: 12 }), { maxLength: 12 }),
        fc.record({
          maxBytes: fc.integer({ min: 1, max: 120 }),
          maxFields: fc.nat({ max: 6 }),
          maxLineBytes: fc.integer({ min: 1, max: 40 }),
          statusLine: fc.constantFrom('required' as const, 'accepted' as const, 'refused' as const),
          sendfile: fc.boolean(),
          decodeChunked: fc.boolean(),
        }),
        (fragments, cuts, options) => {
          const bytes = Buffer.from(fragments.join(''), 'latin1')
          const whole = parse([bytes], options)
          assert.deepEqual(parse(byteByByte(bytes), options), whole)
          const parts: Buffer[] = []
          let at = 0
          for (const cut of cuts) {
            parts.push(bytes.subarray(at, at + cut))
            at += cut
          }
          assert.deepEqual(parse([...parts, bytes.subarray(at)], options), whole)
          if (!('head' in whole)) return
          const { headers, warnings, reason } = whole.head
          const out = [...headers, ...warnings, reason ?? ''].join('')
          // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
          assert.doesNotMatch(out, /[\x00-\x08\x0a-\x1f\x7f]/)
          assert.equal(headers.length % 2, 0)
        },
      ),
      { numRuns: 3000 },
    )
  },
)
