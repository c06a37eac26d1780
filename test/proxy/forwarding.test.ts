/**
 * Requests as they go on to an HTTP server, row by row (conventions B and H, RFC 9110 §7.6).
 */
import t from 'tap'
import { GatewayError } from '../../src/errors.js'
import type { GatewayRequest } from '../../src/gateway.js'
import { type BodyFraming, Forwarding, type ForwardingRoute } from '../../src/proxy/forwarding.js'
import { forwardedTarget } from '../../src/proxy/target.js'
import { readPeer, TrustedPeers } from '../../src/proxy/trusted-peers.js'

const route: ForwardingRoute = {
  path: '/api/',
  host: 'preserve',
  trusted: [],
  forwarded: false,
  stripPrefix: false,
  passAuthorization: true,
  ambiguousHeaders: 'drop',
}

interface Case {
  readonly fields: readonly string[]
  readonly route?: Partial<ForwardingRoute>
  readonly request?: Partial<GatewayRequest>
  readonly body?: BodyFraming
  readonly upgrade?: string
}

function head({ fields, route: changes, request, body, upgrade }: Case, dropped: string[] = []) {
  const rawHeaders = fields.flatMap(line => {
    const colon = line.indexOf(': ')
    return [line.slice(0, colon), line.slice(colon + 2)]
  })
  const forwarding = new Forwarding({ ...route, ...changes }, name => void dropped.push(name))
  const whole = {
    id: 'id1',
    method: 'GET',
    target: '/api/x?y=%20',
    rest: '/x',
    query: 'y=%20',
    rawHeaders,
    remote: { address: '192.0.2.7', port: 50123 },
    tls: false,
    ...request,
  } as GatewayRequest
  const made = forwarding.head(whole, body, upgrade)
  return { ...made, lines: made.fields.split('\r\n').filter(line => line !== '') }
}

/** The lines that are there for every request from this client. */
const always = [
  'X-Forwarded-For: 192.0.2.7',
  'X-Forwarded-Proto: http',
  'X-Forwarded-Host: example.test:8080',
  'X-Request-Id: id1',
]
const host = 'Host: example.test:8080'

const rows: Readonly<Record<string, Case & { readonly want: readonly string[] }>> = {
  'B-11, B-22 fields pass in their order, with their bytes': {
    fields: [host, 'X-A: 1', 'x-b: \xe9\xff', 'X-A: 2', 'User-Agent: x'],
    want: ['X-A: 1', 'x-b: \xe9\xff', 'X-A: 2', 'User-Agent: x', ...always],
  },
  'B-12 Cookie lines are joined': {
    fields: [host, 'Cookie: a=1', 'cookie: b=2'],
    want: ['Cookie: a=1; b=2', ...always],
  },
  'B-15, B-16 ambiguous names are dropped': {
    fields: [host, 'X_A: evil', 'X.B: evil', 'X!C: evil'],
    want: always,
  },
  'B-17 a plain name and its twin: only the plain one arrives': {
    fields: [host, 'X_A: 2', 'X-A: 1'],
    want: ['X-A: 1', ...always],
  },
  'B-15 allow: they pass unless a plain name is there': {
    fields: [host, 'X_A: 1', 'X_B: 2', 'X-B: 3'],
    route: { ambiguousHeaders: 'allow' },
    want: ['X-B: 3', 'X_A: 1', ...always],
  },
  'H-14 twins of forwarded fields are dropped, allowed or not': {
    fields: [host, 'X_Forwarded_For: evil', 'X.Forwarded-Proto: https', 'X_Real_IP: evil'],
    route: { ambiguousHeaders: 'allow', trusted: ['192.0.2.7'] },
    want: always,
  },
  'B-18 Proxy never passes': {
    fields: [host, 'Proxy: http://evil.test', 'pRoXy: http://evil.test'],
    want: always,
  },
  'B-19 Authorization passes': {
    fields: [host, 'Authorization: Basic x'],
    want: ['Authorization: Basic x', ...always],
  },
  'B-19 or not, as the route says': {
    fields: [host, 'Authorization: Basic x'],
    route: { passAuthorization: false },
    want: always,
  },
  'B-20 Proxy-Authorization does not pass': {
    fields: [host, 'Proxy-Authorization: Basic x'],
    want: always,
  },
  'B-21 fields of this hop end here, and those that Connection names': {
    fields: [
      ...[host, 'Connection: close, X-Hop , upgrade', 'X-Hop: 1', 'Keep-Alive: 5', 'TE: trailers'],
      ...['Trailer: X', 'Transfer-Encoding: chunked', 'Upgrade: x', 'Proxy-Connection: keep-alive'],
    ],
    want: always,
  },
  'B-21 Connection cannot take away what is ours to say': {
    fields: [host, 'Connection: X-Forwarded-For, Host, X-Request-Id, Content-Length'],
    body: { kind: 'length', length: 3 },
    want: [...always, 'Content-Length: 3'],
  },
  'B-26 Expect is answered here': { fields: [host, 'Expect: 100-continue'], want: always },
  'H-13 what a stranger says of itself is replaced': {
    fields: [
      ...[host, 'X-Forwarded-For: 1.1.1.1', 'X-Forwarded-Proto: https', 'Forwarded: for=1.1.1.1'],
      ...['X-Forwarded-Host: evil.test', 'X-Real-IP: 1.1.1.1', 'X-Forwarded-Ssl: on'],
      ...['X-Forwarded-Port: 443', 'X-Forwarded-Prefix: /evil', 'X-Request-Id: mine'],
    ],
    want: always,
  },
  'H-13 what a trusted proxy says is gone on with': {
    fields: [
      ...[host, 'X-Forwarded-For: 203.0.113.9', 'X-Forwarded-Proto: https', 'X-Real-IP: 1.1.1.1'],
      ...['X-Forwarded-Host: public.test', 'X-Forwarded-Port: 443'],
    ],
    route: { trusted: ['192.0.2.0/24'] },
    want: [
      ...['X-Real-IP: 1.1.1.1', 'X-Forwarded-Port: 443'],
      ...['X-Forwarded-For: 203.0.113.9, 192.0.2.7', 'X-Forwarded-Proto: https'],
      ...['X-Forwarded-Host: public.test', 'X-Request-Id: id1'],
    ],
  },
  'H-13 Forwarded by option': {
    fields: [host, 'Forwarded: for=203.0.113.9'],
    route: { forwarded: true, trusted: ['192.0.2.7'] },
    want: [
      ...always.slice(0, 3),
      'Forwarded: for=203.0.113.9, for=192.0.2.7;proto=http;host="example.test:8080"',
      'X-Request-Id: id1',
    ],
  },
  'H-13 Forwarded of an IPv6 client': {
    fields: ['Host: a'],
    route: { forwarded: true },
    request: { remote: { address: '::1', port: 1 }, tls: true },
    want: [
      ...['X-Forwarded-For: ::1', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: a'],
      ...['Forwarded: for="[::1]";proto=https;host=a', 'X-Request-Id: id1'],
    ],
  },
  'N-5 an IPv4 address in IPv6 clothes': {
    fields: [host],
    request: { remote: { address: '::ffff:192.0.2.7', port: 1 } },
    want: always,
  },
  'who comes over a unix socket has no address': {
    fields: [host],
    request: { remote: { address: 'unix:', port: undefined } },
    want: always.slice(1),
  },
  'a trusted proxy on a unix socket is believed': {
    fields: [host, 'X-Forwarded-For: 203.0.113.9'],
    route: { trusted: ['unix:'] },
    request: { remote: { address: 'unix:', port: undefined } },
    want: ['X-Forwarded-For: 203.0.113.9', ...always.slice(1)],
  },
  'D-2 a body without a length goes on in chunks': {
    fields: [host, 'Content-Type: text/plain'],
    body: { kind: 'chunked' },
    want: ['Content-Type: text/plain', ...always, 'Transfer-Encoding: chunked'],
  },
  'Upgrade goes on where it may': {
    fields: [host, 'Connection: keep-alive, Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: x'],
    upgrade: 'websocket',
    want: ['Sec-WebSocket-Key: x', ...always, 'Connection: Upgrade', 'Upgrade: websocket'],
  },
}

for (const [name, { want, ...given }] of Object.entries(rows)) {
  t.test(name, async t => {
    t.strictSame(head(given).lines, want)
    t.equal(head(given).fields.endsWith('\r\n\r\n'), true, 'it ends with an empty line')
  })
}

t.test('H-13, L-9 the request line and Host', async t => {
  t.equal(head({ fields: [host] }).line, 'GET /api/x?y=%20 HTTP/1.1\r\n')
  t.equal(head({ fields: [host] }).host, 'example.test:8080')
  t.equal(head({ fields: [host], route: { host: 'upstream' } }).host, undefined)
  const redirected = head({ fields: [host], request: { target: '/a b\r\nX: y' } })
  t.equal(redirected.line, 'GET /a%20b%0D%0AX:%20y HTTP/1.1\r\n', 'of a local redirect')
  const stripped = head({ fields: [host], route: { stripPrefix: true } })
  t.equal(stripped.line, 'GET /x?y=%20 HTTP/1.1\r\n')
  t.ok(stripped.lines.includes('X-Forwarded-Prefix: /api'))
})

t.test('B-2, B-13, B-15 what is refused', async t => {
  const refused: readonly Case[] = [
    { fields: [host, 'X-A: a\r\nX-B: b'] },
    { fields: [host, 'X-A: a\0'] },
    { fields: [host, 'Authorization: a', 'authorization: b'] },
    { fields: [host, 'X_A: a'], route: { ambiguousHeaders: 'reject' } },
  ]
  for (const given of refused) {
    t.throws(() => head(given), { name: 'GatewayError', code: 'BAD_HEADER' })
  }
  t.type(new GatewayError('BAD_HEADER'), Error)
  const dropped: string[] = []
  head({ fields: [host, 'X_A: 1', 'X-A: 1'] }, dropped)
  t.strictSame(dropped, ['X_A'])
})

t.test('stripPrefix cuts the prefix and never climbs', async t => {
  const cases: readonly (readonly [target: string, rest: string, want: string])[] = [
    ['/api/x', '/x', '/x'],
    ['/api', '', '/'],
    ['/api?q', '', '/?q'],
    ['/api/', '/', '/'],
    ['/api//x//y', '//x//y', '//x//y'],
    ['/api/caf%C3%A9+%2B;a?b=c%20d', '/caf\xc3\xa9++;a', '/caf%C3%A9+%2B;a?b=c%20d'],
    ['//api/x', '/x', '/x'],
    ['/%61pi/x%20y?q=%20', '/x y', '/x%20y?q=%20'],
    ['/api/../api/x', '/x', '/x'],
    ['/api/%2e%2e/api/x', '/x', '/x'],
    ['/api/%2E./api/a?', '/a', '/a?'],
    ['/api/x/./y', '/x/y', '/x/y'],
  ]
  for (const [target, rest, want] of cases) {
    const mark = target.indexOf('?')
    const query = mark === -1 ? '' : target.slice(mark + 1)
    t.equal(forwardedTarget({ target, rest, query }, '/api/'), want, target)
  }
  t.equal(forwardedTarget({ target: '/x', rest: '/x', query: '' }, '/'), '/x')
})

t.test('H-13 who is trusted', async t => {
  const peers = new TrustedPeers(['10.0.0.0/8', '127.0.0.1', '2001:db8::/32'])
  const answers: readonly (readonly [string, boolean])[] = [
    ...([
      ['10.255.0.1', true],
      ['11.0.0.1', false],
      ['127.0.0.1', true],
    ] as const),
    ...([
      ['127.0.0.2', false],
      ['2001:db8::1', true],
      ['2001:db9::1', false],
    ] as const),
    ['unix:', false],
  ]
  for (const [address, want] of answers) t.equal(peers.has(address), want, address)
  for (const bad of ['10.0.0.0/33', '::/129', 'localhost', '10.0.0.0/', '10.0.0.0/8/8', '']) {
    t.equal(readPeer(bad), undefined, bad)
  }
  t.throws(() => new TrustedPeers(['localhost']), RangeError)
})
