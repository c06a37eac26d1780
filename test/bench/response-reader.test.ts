/**
 * The reader of the load generator: bytes by hand, cut at every place.
 */
import t from 'tap'
import { type Progress, ResponseReader } from '../../src/bench/response-reader.js'
import { byteByByte, everySplit } from '../support/chunks.js'

interface Read {
  readonly progress: Progress
  readonly status: number
  readonly type: string
  readonly closes: boolean
  readonly body: string
}

/** Reads the parts one after the other; `end` says that the connection ends behind them. */
function read(parts: Iterable<Buffer>, end = false): Read {
  let body = ''
  const reader = new ResponseReader(chunk => {
    body += chunk.toString('latin1')
  })
  let progress: Progress = 'more'
  for (const part of parts) {
    if (part.length > 0) progress = reader.push(part)
  }
  if (end) progress = reader.end()
  const { status, type, closes } = reader
  return { progress, status, type, closes, body }
}

const plain = { progress: 'done', status: 200, type: 'text/plain', closes: false } as const

/** What is sent, what is read of it, and whether the end of the connection belongs to it. */
const responses: readonly (readonly [what: string, text: string, expected: Read, end?: true])[] = [
  [
    'Content-Length',
    'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello',
    { ...plain, body: 'hello' },
  ],
  [
    'no body',
    'HTTP/1.1 200 OK\r\ncontent-length:0\r\ncontent-type:text/plain \r\n\r\n',
    { ...plain, body: '' },
  ],
  [
    'the chunked coding, with an extension and a trailer',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n' +
      '5;a=b\r\nhel\r\n\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n',
    { ...plain, body: 'hel\r\n0123456789' },
  ],
  [
    '204 has no body',
    'HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n',
    { progress: 'done', status: 204, type: '', closes: true, body: '' },
  ],
  [
    '304 neither, whatever its length says',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n',
    { progress: 'done', status: 304, type: '', closes: false, body: '' },
  ],
  [
    'informational responses come first',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' +
      'HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno',
    { progress: 'done', status: 404, type: '', closes: false, body: 'no' },
  ],
  [
    'the end of the connection ends the body',
    'HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello',
    { ...plain, closes: true, body: 'hello' },
    true,
  ],
]

for (const [what, text, expected, end] of responses) {
  t.test(what, async t => {
    const bytes = Buffer.from(text, 'latin1')
    t.same(read([bytes], end), expected, 'whole')
    for (const parts of everySplit(bytes)) t.same(read(parts, end), expected, `${parts[0]?.length}`)
    t.same(read(byteByByte(bytes), end), expected, 'byte by byte')
  })
}

t.test('an end before the end is bad at every place', async t => {
  for (const [, text, , end] of responses) {
    const bytes = Buffer.from(text, 'latin1')
    const headEnd =
      text.lastIndexOf('HTTP/1.') + text.slice(text.lastIndexOf('HTTP/1.')).indexOf('\r\n\r\n')
    const until = end === true ? headEnd + 4 : bytes.length
    for (let at = 1; at < until; at++) {
      const { progress } = read([bytes.subarray(0, at)], true)
      t.equal(progress, 'bad', JSON.stringify(text.slice(0, at)))
    }
  }
})

t.test('what is no response, or more than one, is bad', async t => {
  const good = 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na'
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
  for (const text of [
    'SSH-2.0-x\r\n\r\n',
    'HTTP/1.1 2 OK\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\n\r\n',
    `${good}b`,
    good + good,
    `${chunked}x\r\n`,
    `${chunked}-1\r\n`,
    `${chunked}1\r\nab\r\n`,
  ]) {
    t.equal(read([Buffer.from(text)]).progress, 'bad', text)
    t.equal(read(byteByByte(Buffer.from(text))).progress, 'bad', text)
  }
})

t.test('a head of 64 KiB is waited for, a longer one is not', async t => {
  const start = 'HTTP/1.1 200 OK\r\nX: '
  const fill = 'x'.repeat(64 * 1024 - start.length)
  t.equal(read([Buffer.from(start + fill)]).progress, 'more')
  t.equal(read([Buffer.from(`${start + fill}x`)]).progress, 'bad')
})

t.test('reset makes it ready for the next response', async t => {
  let body = ''
  const reader = new ResponseReader(chunk => {
    body += chunk.toString()
  })
  reader.push(
    Buffer.from(
      'HTTP/1.1 500 X\r\nContent-Type: a/b\r\nConnection: close\r\nContent-Length: 1\r\n\r\na',
    ),
  )
  reader.reset()
  t.equal(reader.push(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb')), 'done')
  t.same([reader.status, reader.type, reader.closes, body], [200, '', false, 'ab'])
})
