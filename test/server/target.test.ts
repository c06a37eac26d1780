/**
 * Request targets: decoding, dot segments, encoded slashes, the absolute form and the Host field.
 */
import fc from 'fast-check'
import t from 'tap'
import type { ErrorCode } from '../../src/errors.js'
import { encodedSlash, parseTarget, settleEncodedSlashes } from '../../src/server/target.js'

const parse = (url: string) => parseTarget(url, 'GET', ['example.test:8080'], 'HTTP/1.1')
const host = (...values: string[]) => parseTarget('/', 'GET', values, 'HTTP/1.1').host
const code = (code: ErrorCode) => ({ name: 'GatewayError', code })

t.test('an ordinary target is cut at the first question mark', async t => {
  const cases: [url: string, path: string, query: string][] = [
    ['/', '/', ''],
    ['/cgi-bin/env.cgi', '/cgi-bin/env.cgi', ''],
    ['/x?', '/x', ''],
    ['/x?a=1?b=2', '/x', 'a=1?b=2'],
    ['/x?/../%zz/%00', '/x', '/../%zz/%00'],
    ['/a.b/c..d/...', '/a.b/c..d/...', ''],
    ['/..a/.b', '/..a/.b', ''],
    ['/back\\slash\\..', '/back\\slash\\..', ''],
  ]
  for (const [url, path, query] of cases) {
    t.strictSame(
      parse(url),
      { target: url, path, query, host: 'example.test', authority: undefined },
      url,
    )
  }
})

t.test('A-7, L-9: the path is decoded once; target and query stay raw', async t => {
  const url = '/e.cgi/a%20b%3Bc+d%25/%2541?q=%C3%A9+%20;%'
  const { target, path, query } = parse(url)
  t.equal(target, url)
  t.equal(path, '/e.cgi/a b;c+d%/%41')
  t.equal(query, 'q=%C3%A9+%20;%')
})

t.test('A-7: bytes above ASCII, encoded or raw, are one character each', async t => {
  t.equal(parse('/%C3%a9').path, '/\xc3\xa9')
  t.equal(parse('/\xe9%FF').path, '/\xe9\xff')
  t.equal(parse('/a%0ab%0d').path, '/a\nb\r', 'A-18: line ends are data')
})

t.test('bad percent encoding is refused', async t => {
  for (const url of ['/%', '/%4', '/%zz', '/%4g', '/%g4', '/a%', '/% 1', '/%-1', '/%+1', '/%0x']) {
    t.throws(() => parse(url), code('BAD_TARGET'), url)
  }
})

t.test('A-9: an encoded NUL is refused anywhere in the path', async t => {
  for (const url of ['/%00', '/a/b%00.cgi', '/env.cgi/x%00']) {
    t.throws(() => parse(url), code('PATH_NUL'), url)
  }
})

t.test('A-10: dot segments are resolved after decoding', async t => {
  const cases: [url: string, path: string][] = [
    ['/a/./b', '/a/b'],
    ['/a/../b', '/b'],
    ['/a/%2e%2e/b', '/b'],
    ['/a/.%2E/b', '/b'],
    ['/a/%2e/b', '/a/b'],
    ['/a/b/..', '/a/'],
    ['/a/b/.', '/a/b/'],
    ['/a/..', '/'],
    ['/.', '/'],
    ['/./', '/'],
    ['/a/../', '/'],
    ['/a/b/../../c/./d', '/c/d'],
    ['/cgi-bin/env.cgi/../x', '/cgi-bin/x'],
    ['/a/.../b', '/a/.../b'],
    ['/a/..b/c', '/a/..b/c'],
    ['/a/%252e%252e/b', '/a/%2e%2e/b'],
  ]
  for (const [url, path] of cases) t.equal(parse(url).path, path, url)
})

t.test('A-10: what climbs above the root is refused', async t => {
  const urls = [
    '/..',
    '/../x',
    '/%2e%2e/secret',
    '/a/../../b',
    '/a/../..',
    '/./../x',
    '/a/b/../../..',
  ]
  for (const url of urls) t.throws(() => parse(url), code('PATH_ESCAPES_ROOT'), url)
})

t.test('A-11: slashes stay as they came, and a run of them is one for dot segments', async t => {
  t.equal(parse('//cgi-bin//env.cgi//a//b').path, '//cgi-bin//env.cgi//a//b')
  t.equal(parse('/a//b/../c//d').path, '/a/c//d', 'a run goes with the segment after it')
  t.equal(parse('/a//../b').path, '/b')
  t.equal(parse('/a/.//b').path, '/a//b')
  t.throws(() => parse('//../x'), code('PATH_ESCAPES_ROOT'))
})

t.test(
  'A-10: no path that is accepted has a dot segment or fails to begin with a slash',
  async t => {
    const piece = fc.constantFrom(
      '/',
      '/',
      '.',
      '..',
      '%2e',
      '%2E',
      'a',
      '%2F',
      '%2f',
      '\\',
      '%5c',
      'b',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
        let path: string
        try {
          path = settleEncodedSlashes(parse(`/${pieces.join('')}`).path, 'decode')
        } catch {
          return
        }
        t.notMatch(path, /(^|\/)\.\.?(\/|$)/, path)
        t.equal(path[0], '/')
      }),
      { numRuns: 500 },
    )
  },
)

t.test('A-8: an encoded slash is neither a separator nor lost until it is settled', async t => {
  const { path } = parse('/e.cgi/a%2Fb%2fc/../d')
  t.equal(path, '/e.cgi/d', 'it does not end a segment')
  t.equal(parse('/e.cgi/a%2Fb').path, `/e.cgi/a${encodedSlash}b`)
})

t.test('A-8: reject, decode, keep', async t => {
  const { path } = parse('/e.cgi/a%2Fb%2fc')
  t.throws(() => settleEncodedSlashes(path, 'reject'), code('ENCODED_SLASH'))
  t.equal(settleEncodedSlashes(path, 'decode'), '/e.cgi/a/b/c')
  t.equal(settleEncodedSlashes(path, 'keep'), '/e.cgi/a%2Fb%2Fc')
  for (const mode of ['reject', 'decode', 'keep'] as const) {
    t.equal(settleEncodedSlashes('/a/b', mode), '/a/b', mode)
  }
})

t.test('A-8, A-10: decoded slashes make dot segments, which are resolved and checked', async t => {
  const settle = (url: string) => settleEncodedSlashes(parse(url).path, 'decode')
  t.equal(settle('/a/b%2F..%2Fc'), '/a/c')
  t.equal(settle('/a/b%2F..'), '/a/')
  t.equal(settleEncodedSlashes('', 'decode'), '', 'the rest of a route without its slash')
  t.throws(() => settle('/..%2Fsecret'), code('PATH_ESCAPES_ROOT'))
  t.throws(() => settle('/a%2F..%2F..%2Fsecret'), code('PATH_ESCAPES_ROOT'))
})

t.test(
  'A-12: the host of an absolute target wins over Host, REQUEST_URI is the origin form',
  async t => {
    t.strictSame(
      parseTarget('http://Other.test:81/cgi-bin/%65.cgi?x', 'GET', ['example.test'], 'HTTP/1.1'),
      {
        target: '/cgi-bin/%65.cgi?x',
        path: '/cgi-bin/e.cgi',
        query: 'x',
        host: 'other.test',
        authority: 'Other.test:81',
      },
    )
    t.equal(parse('http://h/%2e%2e/a'.replace('%2e%2e', 'b')).path, '/b/a')
    t.equal(parse('HTTPS://[::1]').host, '[::1]')
    t.equal(parse('http://h').target, '/')
    t.equal(parse('http://h?q').target, '/?q')
    t.throws(() => parse('http://h/%2e%2e/a'), code('PATH_ESCAPES_ROOT'))
  },
)

t.test('A-12: a target of another form, or with a bad authority, is refused', async t => {
  const urls = [
    '',
    '*',
    'x',
    '?x',
    'example.test:80',
    'ftp://h/',
    'http:/h/',
    'http://',
    'http:///x',
  ]
  for (const url of urls) t.throws(() => parse(url), code('BAD_TARGET'), url)
  for (const authority of ['u@h', 'u:p@h', 'h:x', 'h:70000', '[::1', '::1', 'a..b', 'h%41']) {
    t.throws(() => parse(`http://${authority}/`), code('BAD_TARGET'), authority)
  }
})

t.test('RFC 9112 §3.2: Host is required on HTTP/1.1, given once, and valid', async t => {
  t.throws(() => host(), code('BAD_HEADER'))
  t.throws(() => host('a', 'a'), code('BAD_HEADER'))
  t.throws(() => parseTarget('http://h/', 'GET', ['a', 'b'], 'HTTP/1.1'), code('BAD_HEADER'))
  t.throws(() => parseTarget('/', 'GET', ['a', 'b'], 'HTTP/1.0'), code('BAD_HEADER'))
  t.equal(parseTarget('/', 'GET', [], 'HTTP/1.0').host, undefined)
  t.equal(parseTarget('/', 'GET', [], 'HTTP/2.0').host, undefined)
  t.equal(host(''), undefined, 'empty is allowed')
})

t.test('B, SERVER_NAME: the host is lower case, without port, with brackets', async t => {
  t.equal(host('Example.TEST:8080'), 'example.test')
  t.equal(host('example.test:'), 'example.test')
  t.equal(host('[2001:DB8::1]:8080'), '[2001:db8::1]')
  t.equal(host('[::ffff:192.0.2.7]'), '[::ffff:192.0.2.7]')
  t.equal(host('192.0.2.7:80'), '192.0.2.7')
  t.equal(host('under_score.test'), 'under_score.test')
  t.equal(host('example.test.'), 'example.test.')
})

t.test('B, SERVER_NAME: a Host that is no host name is refused', async t => {
  const bad = [
    'a b',
    'a/b',
    'a,b',
    'a@b',
    '<script>',
    "a'b",
    'a%41',
    'a\\b',
    '\xe9.test',
    '..',
    '.a',
    'a..b',
    'a:b',
    'a:80:80',
    'a:65536',
    'a:-1',
    '[::1',
    '[::g]',
    '[]',
    '[::1]x',
    '[fe80::1%25eth0]',
    '::1',
    '[192.0.2.7]',
    `${'a'.repeat(300)}.test`,
  ]
  for (const value of bad) t.throws(() => host(value), code('BAD_HEADER'), value)
})
