/**
 * Header fields of a request become HTTP_ variables, byte for byte, and those that could be mistaken for
 * something else do not (conventions B-10 to B-27, RFC 3875 §4.1.18).
 */
import t, { type Test } from 'tap'
import { environmentOf, printing, program } from '../support/programs.js'
import { type ServeOptions, startTestServer, type TestServer } from '../support/serve.js'
import { eachSpawner } from '../support/spawners.js'

const scripts = { 'env.cgi': program('environment.sh') } as const
const target = '/cgi-bin/env.cgi'

type Environment = ReadonlyMap<string, string>

async function environmentFor(server: TestServer, headers: string[]): Promise<Environment> {
  return environmentOf(await server.request(target, { headers }))
}

interface Row {
  readonly row: string
  readonly headers: string[]
  readonly want: Readonly<Record<string, string | undefined>>
}

const rows: readonly Row[] = [
  { row: 'B-10', headers: ['User-Agent: x'], want: { HTTP_USER_AGENT: 'x' } },
  {
    row: 'B-11',
    headers: ['X-A: 1', 'X-B: 0', 'x-a: 2'],
    want: { HTTP_X_A: '1, 2', HTTP_X_B: '0' },
  },
  { row: 'B-12', headers: ['Cookie: a=1', 'Cookie: b=2'], want: { HTTP_COOKIE: 'a=1; b=2' } },
  {
    row: 'B-13 joined',
    headers: ['User-Agent: a', 'User-Agent: b'],
    want: { HTTP_USER_AGENT: 'a, b' },
  },
  {
    row: 'B-14',
    headers: ['Content-Type: text/x', 'Content-Length: 0'],
    want: {
      CONTENT_TYPE: 'text/x',
      CONTENT_LENGTH: '0',
      HTTP_CONTENT_TYPE: undefined,
      HTTP_CONTENT_LENGTH: undefined,
    },
  },
  { row: 'B-15 an underscore', headers: ['X_A: evil'], want: { HTTP_X_A: undefined } },
  { row: 'B-16 a dot', headers: ['X.A: 1'], want: { HTTP_X_A: undefined, 'HTTP_X.A': undefined } },
  { row: 'B-16 a bang', headers: ['X!A: 1'], want: { HTTP_X_A: undefined, 'HTTP_X!A': undefined } },
  { row: 'B-17 twins', headers: ['X_A: 2', 'X-A: 1', 'X.A: 3'], want: { HTTP_X_A: '1' } },
  { row: 'B-18', headers: ['Proxy: http://evil'], want: { HTTP_PROXY: undefined } },
  { row: 'B-18 any case', headers: ['pROXY: http://evil'], want: { HTTP_PROXY: undefined } },
  {
    row: 'B-19, B-20 credentials',
    headers: ['Authorization: Basic YTpi', 'Proxy-Authorization: Basic YTpi'],
    want: {
      HTTP_AUTHORIZATION: undefined,
      HTTP_PROXY_AUTHORIZATION: undefined,
      AUTH_TYPE: undefined,
      REMOTE_USER: undefined,
    },
  },
  {
    row: 'B-21 of one connection only',
    headers: [
      'Connection: keep-alive, X-Hop',
      'X-Hop: 1',
      'Keep-Alive: 5',
      'TE: trailers',
      'Upgrade: h2c',
    ],
    want: {
      HTTP_CONNECTION: undefined,
      HTTP_X_HOP: undefined,
      HTTP_KEEP_ALIVE: undefined,
      HTTP_TE: undefined,
      HTTP_UPGRADE: undefined,
    },
  },
  {
    row: 'B-24 content codings are the program’s affair',
    headers: ['Accept-Encoding: gzip', 'Content-Encoding: br'],
    want: { HTTP_ACCEPT_ENCODING: 'gzip', HTTP_CONTENT_ENCODING: 'br' },
  },
  {
    row: 'B-25',
    headers: ['Host: example.test:8080'],
    want: { HTTP_HOST: 'example.test:8080', SERVER_NAME: 'example.test' },
  },
  {
    row: 'B-27 without the preset',
    headers: ['Git-Protocol: version=2'],
    want: { HTTP_GIT_PROTOCOL: 'version=2', GIT_PROTOCOL: undefined },
  },
  {
    row: 'REMOTE_USER is never a header’s to say',
    headers: ['Remote-User: root', 'Request-Method: X', 'Script-Filename: /etc/passwd'],
    want: { REMOTE_USER: undefined, REQUEST_METHOD: 'GET', HTTP_REMOTE_USER: 'root' },
  },
]

t.test('B-10 to B-27 one by one', async t => {
  const server = await startTestServer(t, { scripts })
  for (const { row, headers, want } of rows) {
    const environment = await environmentFor(server, headers)
    for (const [name, value] of Object.entries(want)) {
      t.equal(environment.get(name), value, `${row}: ${name}`)
    }
  }
})

await eachSpawner(t, 'B-22 bytes 80 to FF, and everything printable', async (t, spawner) => {
  const server = await startTestServer(t, { scripts, spawner })
  const high = String.fromCharCode(...Array.from({ length: 128 }, (_, i) => 0x80 + i))
  const plain = String.fromCharCode(...Array.from({ length: 94 }, (_, i) => 0x21 + i))
  const utf8 = Buffer.from('häß€😀', 'utf8').toString('latin1')
  const headers = [
    `X-High: ${high}`,
    `X-Plain: ${plain}`,
    `X-Utf8: ${utf8}`,
    'X-Tab: a\tb',
    'X-None:',
  ]
  const environment = await environmentFor(server, headers)
  t.equal(environment.get('HTTP_X_HIGH'), high)
  t.equal(environment.get('HTTP_X_PLAIN'), plain)
  t.equal(environment.get('HTTP_X_UTF8'), utf8)
  t.equal(environment.get('HTTP_X_TAB'), 'a\tb')
  t.equal(environment.get('HTTP_X_NONE'), '', 'an empty field is set and empty')
})

async function statusOf(t: Test, headers: string[], options: ServeOptions = {}): Promise<number> {
  const server = await startTestServer(t, { scripts, ...options })
  const connection = await server.connect()
  connection.send(`GET ${target} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`)
  return (await connection.response()).status
}

t.test('B-13, B-23, B-25 refused with 400', async t => {
  const host = 'Host: example.test'
  const cases: readonly (readonly [string, string[]])[] = [
    ['B-13 two Hosts', [host, 'Host: other.test']],
    ['B-13 the same Host twice', [host, host]],
    ['B-13 two Authorizations', [host, 'Authorization: a', 'Authorization: b']],
    ['B-23 obs-fold', [host, 'X-A: 1', ' 2']],
    ['B-25 no Host', ['X-A: 1']],
    ['B-25 a Host that is none', ['Host: a b/c']],
    ['a space before the colon, RFC 9112 §5.1', [host, 'X-A : 1']],
    ['NUL in a value', [host, 'X-A: a\0b']],
    ['CR in a value', [host, 'X-A: a\rb']],
  ]
  for (const [row, headers] of cases) t.equal(await statusOf(t, headers), 400, row)
})

t.test('options of the route', async t => {
  const host = 'Host: example.test'
  const reject: ServeOptions = { route: { ambiguousHeaders: 'reject' } }
  t.equal(await statusOf(t, [host, 'X_A: 1'], reject), 400, 'B-15 reject')

  const allow = await startTestServer(t, { scripts, route: { ambiguousHeaders: 'allow' } })
  t.equal((await environmentFor(allow, ['X_A: 1'])).get('HTTP_X_A'), '1', 'B-15 allow')
  t.equal((await environmentFor(allow, ['Proxy: x'])).has('HTTP_PROXY'), false, 'B-18 even then')

  const pass = await startTestServer(t, { scripts, route: { passAuthorization: true } })
  const authorized = await environmentFor(pass, ['Authorization: Basic YTpi'])
  t.equal(authorized.get('HTTP_AUTHORIZATION'), 'Basic YTpi', 'B-19 passAuthorization')
  t.equal(authorized.has('REMOTE_USER'), false, 'B-19 is not an authentication of ours')

  const git = await startTestServer(t, { scripts, route: { preset: 'git' } })
  const protocol = await environmentFor(git, ['Git-Protocol: version=2'])
  t.equal(protocol.get('GIT_PROTOCOL'), 'version=2', 'B-27 preset git')
})

t.test('B-19 a script that answers 401 without having seen the header gets a hint', async t => {
  const own = { '401.cgi': printing('Status: 401\nWWW-Authenticate: Basic realm="a"\n\n') }
  const server = await startTestServer(t, { scripts: own })
  t.equal((await server.request('/cgi-bin/401.cgi')).status, 401)
  t.same(server.records, [], 'no hint to a client that sent none')
  await server.request('/cgi-bin/401.cgi', { headers: ['Authorization: Basic YTpi'] })
  t.match((await server.recordOf('passAuthorization')).level, 'warn')
})

t.test('B-15 a dropped name is logged once', async t => {
  const server = await startTestServer(t, { scripts })
  for (const _ of [1, 2, 3]) await environmentFor(server, ['X_Dropped: 1'])
  await server.recordOf('X_Dropped')
  const about = server.records.filter(record => JSON.stringify(record).includes('X_Dropped'))
  t.equal(about.length, 1)
})

t.test('B-3 more than the system takes is a 431, before any process', async t => {
  const wide = { requestLineBytes: 8192, headBytes: 1024 * 1024, headerCount: 200 }
  const server = await startTestServer(t, { scripts, config: { limits: wide } })
  const long = await server.request(target, { headers: [`X-A: ${'a'.repeat(140 * 1024)}`] })
  t.equal(long.status, 431)
  t.equal((await server.request(target)).status, 200, 'and the server goes on')
})
