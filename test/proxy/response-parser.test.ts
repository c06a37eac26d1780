/**
 * Responses of HTTP servers, bytes by hand: what they mean, cut at every byte, and what two readers could
 * understand differently refused (RFC 9112 §6.3; conventions "Which 5xx", E-13, E-20, E-28, L-8).
 */
import fc from 'fast-check'
import t from 'tap'
import { GatewayError } from '../../src/errors.js'
import type { UpstreamHead } from '../../src/proxy/response-head.js'
import { type ParserOptions, ResponseParser } from '../../src/proxy/response-parser.js'

const standard: ParserOptions = {
  isHead: false,
  maxBytes: 32 * 1024,
  maxFields: 100,
  sendfile: false,
  upgrade: false,
}

interface Seen {
  readonly interim: number[]
  readonly head: UpstreamHead | undefined
  readonly body: string
  /** `clean`, `dirty`, `switched`; undefined: not whole. */
  readonly end: string | undefined
  readonly rest: string
  readonly error: string | undefined
}

/** What comes out of these pieces, and of the end of the connection behind them with `closes`. */
function parse(
  pieces: readonly Buffer[],
  options: Partial<ParserOptions> = {},
  closes = false,
): Seen {
  const interim: number[] = []
  let head: UpstreamHead | undefined
  let body = ''
  let end: string | undefined
  let rest = ''
  let error: string | undefined
  const parser = new ResponseParser(
    { ...standard, ...options },
    {
      interim: seen => interim.push(seen.status),
      head: seen => {
        head = seen
      },
      data: piece => {
        body += piece.toString('latin1')
      },
      end: isClean => {
        end = isClean ? 'clean' : 'dirty'
      },
      switched: (seen, bytes) => {
        head = seen
        end = 'switched'
        rest = bytes.toString('latin1')
      },
    },
  )
  try {
    for (const piece of pieces) {
      if (end === 'switched') rest += piece.toString('latin1')
      else parser.push(piece)
    }
    if (closes) parser.finish()
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown
    error = thrown.code
  }
  return { interim, head, body, end, rest, error }
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const once = (text: string, options: Partial<ParserOptions> = {}, closes = false): Seen =>
  parse([bytes(text)], options, closes)

const good: Readonly<Record<string, { text: string; body: string; end: string; closes?: true }>> = {
  counted: {
    text: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: \xe9\r\n\r\nhello',
    body: 'hello',
    end: 'clean',
  },
  empty: { text: 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', body: '', end: 'clean' },
  chunked: {
    text: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n',
    body: 'abcde',
    end: 'clean',
  },
  'until close': {
    text: 'HTTP/1.0 200 OK\r\nX-A: 1\r\n\r\nuntil the end',
    body: 'until the end',
    end: 'dirty',
    closes: true,
  },
  'HTTP/1.0 kept': {
    text: 'HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi',
    body: 'hi',
    end: 'clean',
  },
  closing: {
    text: 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi',
    body: 'hi',
    end: 'dirty',
  },
  'not modified': {
    text: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n',
    body: '',
    end: 'clean',
  },
  'no content': { text: 'HTTP/1.1 204 No Content\r\n\r\n', body: '', end: 'clean' },
  'hints first': {
    text: 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi',
    body: 'hi',
    end: 'clean',
  },
}

t.test('every answer is the same however its bytes are cut', async t => {
  for (const [name, { text, body, end, closes }] of Object.entries(good)) {
    const whole = once(text, {}, closes)
    t.match({ body: whole.body, end: whole.end, error: whole.error }, { body, end }, name)
    for (let at = 1; at < text.length; at++) {
      const cut = [bytes(text.slice(0, at)), bytes(text.slice(at))]
      t.strictSame(parse(cut, {}, closes), whole, `${name} cut at ${at}`)
    }
    const single = [...text].map(bytes)
    t.strictSame(parse(single, {}, closes), whole, `${name} byte by byte`)
  }
})

t.test('any cutting of a long chunked body gives the body', async t => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ minLength: 1, maxLength: 40, unit: 'binary-ascii' }), { maxLength: 8 }),
      fc.array(fc.nat(400), { maxLength: 6 }),
      (chunks, cuts) => {
        const coded = chunks.map(chunk => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')
        const text = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${coded}0\r\n\r\n`
        const places = [...new Set([0, ...cuts.filter(at => at < text.length), text.length])]
        places.sort((a, b) => a - b)
        const pieces = places.slice(1).map((at, i) => bytes(text.slice(places[i], at)))
        const seen = parse(pieces)
        return seen.body === chunks.join('') && seen.end === 'clean'
      },
    ),
  )
  t.pass('for all of them')
})

t.test('E-13, E-20, L-8 fields, reason and what ends at this hop', async t => {
  const { head } = once(
    'HTTP/1.1 418 I am \xe9\r\nSet-Cookie: a=1\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nset-cookie: b=2\r\n' +
      'Keep-Alive: timeout=5\r\nDate: yesterday\r\nServer: other\r\nTrailer: X\r\nX-Sendfile: /a\r\n' +
      'Proxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n',
  )
  t.equal(head?.status, 418)
  t.equal(head?.reason, 'I am \xe9')
  t.equal(head?.length, 0)
  t.equal(head?.close, false, 'the client’s connection is another')
  t.strictSame(head?.headers, [
    ...['Set-Cookie', 'a=1', 'set-cookie', 'b=2', 'Date', 'yesterday'],
    ...['X-Sendfile', '/a', 'Proxy-Authenticate', 'Basic'],
  ])
  t.equal(once('HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n').head?.reason, undefined)
  t.equal(once('HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n').head?.reason, undefined)
})

t.test('E-29 X-Sendfile is an order where the route allows it', async t => {
  const text = 'HTTP/1.1 200 OK\r\nX-Accel-Redirect: /a\r\nContent-Length: 0\r\n\r\n'
  const { head } = once(text, { sendfile: true })
  t.equal(head?.sendfile, '/a')
  t.strictSame(head?.headers, [])
})

t.test('E-26 a control character costs its field, and no other', async t => {
  const { head } = once('HTTP/1.1 200 OK\r\nX-Bad: a\x07b\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n')
  t.strictSame(head?.headers, ['X-A', '1'])
  t.match(head?.warnings, [/X-Bad/])
})

t.test('E-21 HEAD: the length is announced, no body follows', async t => {
  const seen = once('HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n', { isHead: true })
  t.equal(seen.head?.length, 20)
  t.equal(seen.end, 'clean')
})

t.test('what could be read in two ways is refused', async t => {
  const bad: Readonly<Record<string, string>> = {
    'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
    'the same length twice': 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na',
    'a list of lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na',
    'a signed length': 'HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na',
    'length and coding':
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    'another coding': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n',
    'a coding twice':
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n',
    'a coding with HTTP/1.0': 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    'a space before the colon': 'HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\na',
    'a folded line': 'HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\n\r\n',
    'a line without a colon': 'HTTP/1.1 200 OK\r\nhello\r\n\r\n',
    'an empty name': 'HTTP/1.1 200 OK\r\n: 1\r\n\r\n',
    'a bare LF': 'HTTP/1.1 200 OK\nX-A: 1\r\n\r\n',
    'a bare CR': 'HTTP/1.1 200 OK\r\nX-A: 1\rX-B: 2\r\n\r\n',
    'a NUL': 'HTTP/1.1 200 OK\r\nX-A: 1\0\r\n\r\n',
    'another version': 'HTTP/2.0 200 OK\r\n\r\n',
    'a status that is none': 'HTTP/1.1 99 Low\r\n\r\n',
    'a status of four digits': 'HTTP/1.1 2000 OK\r\n\r\n',
    'no HTTP at all': 'SSH-2.0-OpenSSH\r\n\r\n',
    'an empty line first': '\r\nHTTP/1.1 200 OK\r\n\r\n',
    'protocols switched unasked': 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n',
  }
  for (const [name, text] of Object.entries(bad)) {
    t.equal(once(text).error, 'UPSTREAM_BAD_HEAD', name)
    t.equal(parse([...text].map(bytes)).error, 'UPSTREAM_BAD_HEAD', `${name}, byte by byte`)
  }
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
  for (const coding of ['zz\r\n', '-1\r\n', '3\r\nabcd\r\n', `${'f'.repeat(20)}\r\n`]) {
    t.equal(once(chunked + coding).error, 'TRUNCATED', coding)
  }
})

t.test('bytes behind an answer end the connection', async t => {
  const counted = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n\r\n'
  t.match(once(counted), { body: 'hi', end: 'dirty' })
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX'
  t.match(once(chunked), { body: '', end: 'dirty' })
})

t.test('E-28 limits: at each, and one past it', async t => {
  const fields = (count: number): string =>
    `HTTP/1.1 200 OK\r\n${'A: 1\r\n'.repeat(count - 1)}Content-Length: 0\r\n\r\n`
  t.equal(once(fields(100)).end, 'clean')
  t.equal(once(fields(101)).error, 'UPSTREAM_HEAD_TOO_LARGE')

  const text = fields(3)
  t.equal(once(text, { maxBytes: text.length }).end, 'clean')
  t.equal(once(text, { maxBytes: text.length - 1 }).error, 'UPSTREAM_HEAD_TOO_LARGE')
  const endless = bytes('a'.repeat(1_000))
  t.equal(parse([endless], { maxBytes: 1_000 }).error, undefined)
  t.equal(parse([endless, bytes('a')], { maxBytes: 1_000 }).error, 'UPSTREAM_HEAD_TOO_LARGE')

  const hint = 'HTTP/1.1 103 Early Hints\r\n\r\n'
  t.equal(once(hint.repeat(16) + text).end, 'clean')
  t.equal(once(hint.repeat(17) + text).error, 'UPSTREAM_BAD_HEAD')
})

t.test('101 where it was asked for gives the connection away', async t => {
  const text = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nframes'
  for (let at = 1; at < text.length; at++) {
    const seen = parse([bytes(text.slice(0, at)), bytes(text.slice(at))], { upgrade: true })
    t.match(seen, { end: 'switched', rest: 'frames', head: { status: 101, upgrade: 'x' } })
  }
})
