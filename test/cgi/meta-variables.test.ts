/**
 * The table of meta-variables (conventions B, RFC 3875 §4.1), as a pure function.
 */
import t from 'tap'
import {
  isRequestVariable,
  type MetaVariableInput,
  metaVariables,
} from '../../src/cgi/meta-variables.js'
import type { ErrorCode } from '../../src/errors.js'
import type { GatewayRequest } from '../../src/gateway.js'

const code = (code: ErrorCode) => ({ name: 'GatewayError', code })

const plainRequest: GatewayRequest = {
  id: 'id-1',
  method: 'GET',
  target: '/cgi-bin/env.cgi/a%20b?x=%20',
  protocol: 'HTTP/1.1',
  path: '/cgi-bin/env.cgi/a b',
  rest: '/env.cgi/a b',
  query: 'x=%20',
  rawHeaders: [],
  host: 'example.test',
  remote: { address: '192.0.2.7', port: 50_123 },
  local: { address: '192.0.2.1', port: 8080 },
  tls: false,
  body: { length: undefined, stream: undefined, invite: () => {} },
  signal: new AbortController().signal,
  redirects: 0,
  authorized: undefined,
  inform: () => {},
  facts: {},
}

function variables(request: Partial<GatewayRequest>, input: Partial<MetaVariableInput> = {}) {
  return metaVariables({
    request: { ...plainRequest, ...request },
    scriptName: '/cgi-bin/env.cgi',
    pathInfo: undefined,
    scriptFilename: '/srv/cgi/env.cgi',
    documentRoot: '/srv/public',
    contentLength: undefined,
    serverSoftware: 'postern/0.1',
    serverName: undefined,
    passAuthorization: false,
    ambiguousHeaders: 'drop',
    preset: undefined,
    ...input,
  })
}

/** The variables that fields alone add. */
function ofFields(rawHeaders: string[], input: Partial<MetaVariableInput> = {}) {
  const without = variables({}, input)
  const added = [...variables({ rawHeaders }, input)].filter(([name]) => !without.has(name))
  return Object.fromEntries(added)
}

t.test('B: exactly these, and nothing that has no value', async t => {
  t.strictSame(Object.fromEntries(variables({})), {
    GATEWAY_INTERFACE: 'CGI/1.1',
    SERVER_SOFTWARE: 'postern/0.1',
    SERVER_NAME: 'example.test',
    SERVER_ADDR: '192.0.2.1',
    SERVER_PORT: '8080',
    SERVER_PROTOCOL: 'HTTP/1.1',
    REQUEST_SCHEME: 'http',
    REMOTE_ADDR: '192.0.2.7',
    REMOTE_HOST: '192.0.2.7',
    REMOTE_PORT: '50123',
    REQUEST_METHOD: 'GET',
    REQUEST_URI: '/cgi-bin/env.cgi/a%20b?x=%20',
    QUERY_STRING: 'x=%20',
    SCRIPT_NAME: '/cgi-bin/env.cgi',
    SCRIPT_FILENAME: '/srv/cgi/env.cgi',
    DOCUMENT_URI: '/cgi-bin/env.cgi',
    DOCUMENT_ROOT: '/srv/public',
    REDIRECT_STATUS: '200',
    REQUEST_ID: 'id-1',
    HTTP_X_REQUEST_ID: 'id-1',
  })
})

t.test('RFC 3875 §4.1.5, §4.1.6: PATH_INFO, PATH_TRANSLATED, DOCUMENT_URI', async t => {
  const found = variables({}, { pathInfo: '//a b' })
  t.equal(found.get('PATH_INFO'), '//a b')
  t.equal(found.get('PATH_TRANSLATED'), '/srv/public//a b')
  t.equal(found.get('DOCUMENT_URI'), '/cgi-bin/env.cgi//a b')
  const atRoot = variables({}, { pathInfo: '/a', documentRoot: '/', scriptName: '' })
  t.equal(atRoot.get('PATH_TRANSLATED'), '/a')
  t.equal(atRoot.get('SCRIPT_NAME'), '', 'RFC 3875 §4.1.13: set even when empty')
  const rootless = variables({}, { pathInfo: '/a', documentRoot: undefined })
  t.notOk(rootless.has('PATH_TRANSLATED') || rootless.has('DOCUMENT_ROOT'))
})

t.test('RFC 3875 §4.1.2, §4.1.7: CONTENT_LENGTH and QUERY_STRING, zero and empty', async t => {
  t.equal(variables({}, { contentLength: 0 }).get('CONTENT_LENGTH'), '0')
  t.equal(variables({}, { contentLength: 12 }).get('CONTENT_LENGTH'), '12')
  t.equal(variables({ query: '' }).get('QUERY_STRING'), '')
})

t.test('B, SERVER_NAME: configured, else the host, else the local address', async t => {
  const name = (request: Partial<GatewayRequest>, serverName?: string) =>
    variables(request, { serverName }).get('SERVER_NAME')
  const none = { host: undefined }
  t.equal(name({}, 'www.test'), 'www.test')
  t.equal(name({ host: '[::1]' }), '[::1]')
  t.equal(name(none), '192.0.2.1')
  t.equal(name({ ...none, local: { address: '::1', port: 80 } }), '[::1]')
  t.equal(name({ ...none, local: { address: '::ffff:192.0.2.1', port: 80 } }), '192.0.2.1')
  t.equal(name({ ...none, local: { address: 'unix:', port: undefined } }), 'localhost')
})

t.test('B, N-5: addresses are plain', async t => {
  const address = (address: string) =>
    variables({ remote: { address, port: 1 }, local: { address, port: 1 } })
  for (const [from, to] of [
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['fe80::1%eth0', 'fe80::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['::ffff:0:1', '::ffff:0:1'],
  ] as const) {
    t.equal(address(from).get('REMOTE_ADDR'), to)
    t.equal(address(from).get('REMOTE_HOST'), to)
    t.equal(address(from).get('SERVER_ADDR'), to)
  }
})

t.test('B: a unix socket has no ports of its own', async t => {
  const unix = { address: 'unix:', port: undefined }
  const found = variables({ remote: unix, local: unix })
  t.equal(found.get('REMOTE_ADDR'), 'unix:')
  t.notOk(found.has('REMOTE_PORT'))
  t.equal(found.get('SERVER_PORT'), '80', 'RFC 3875 §4.1.15: always set')
  t.equal(variables({ local: unix, tls: true }).get('SERVER_PORT'), '443')
})

t.test('B: HTTPS is on or unset', async t => {
  t.match(Object.fromEntries(variables({ tls: true })), { HTTPS: 'on', REQUEST_SCHEME: 'https' })
})

t.test('B: AUTH_TYPE and REMOTE_USER come from the gateway alone', async t => {
  const found = variables({}, { authentication: { type: 'Basic', user: 'ada' } })
  t.equal(found.get('AUTH_TYPE'), 'Basic')
  t.equal(found.get('REMOTE_USER'), 'ada')
  const claimed = ['Remote-User', 'root', 'Auth-Type', 'x', 'Script-Filename', '/etc/passwd']
  t.equal(variables({ rawHeaders: claimed }).get('SCRIPT_FILENAME'), '/srv/cgi/env.cgi')
  t.notOk(variables({ rawHeaders: claimed }).has('REMOTE_USER'))
})

t.test('B-10, B-11, B-12, B-24, B-25, B-26: fields and repeated fields', async t => {
  const fields = {
    HTTP_USER_AGENT: 'x',
    HTTP_X_A: '1, 2, 3',
    HTTP_COOKIE: 'a=1; b=2',
    HTTP_ACCEPT_ENCODING: 'gzip',
    HTTP_CONTENT_ENCODING: 'br',
    HTTP_HOST: 'Example.test:8080',
    HTTP_EXPECT: '100-continue',
    HTTP_X_EMPTY: '',
  }
  t.strictSame(
    ofFields([
      ...['User-Agent', 'x', 'X-A', '1', 'cookie', 'a=1', 'x-a', '2', 'Cookie', 'b=2', 'X-A', '3'],
      ...['Accept-Encoding', 'gzip', 'Content-Encoding', 'br', 'Host', 'Example.test:8080'],
      ...['Expect', '100-continue', 'X-Empty', ''],
    ]),
    fields,
  )
  t.strictSame(ofFields(['X-A', '', 'X-A', '1']), { HTTP_X_A: ', 1' }, 'an empty one is one too')
})

t.test('B-13: a repeated Authorization or Host is refused, passed on or not', async t => {
  for (const name of ['Authorization', 'Host']) {
    const rawHeaders = [name, 'a', name.toLowerCase(), 'a']
    t.throws(() => variables({ rawHeaders }), code('BAD_HEADER'), name)
    t.throws(() => variables({ rawHeaders }, { passAuthorization: true }), code('BAD_HEADER'))
  }
  t.strictSame(ofFields(['Content-Type', 'a', 'Content-Type', 'b']), { CONTENT_TYPE: 'a, b' })
})

t.test('B-14: the content fields are not repeated as HTTP_', async t => {
  t.strictSame(ofFields(['Content-Type', 'a/b; c="d"', 'Content-Length', '5']), {
    CONTENT_TYPE: 'a/b; c="d"',
  })
})

t.test('B-15, B-16: ambiguous names are dropped and told, or refused, or allowed', async t => {
  const dropped: string[] = []
  const onDropped = (name: string) => dropped.push(name)
  const fields = ['X_A', '1', 'X.B', '2', 'X!C', '3', 'X-D', '4']
  t.strictSame(ofFields(fields, { onDropped }), { HTTP_X_D: '4' })
  t.strictSame(dropped, ['X_A', 'X.B', 'X!C'])
  for (const name of ['X_A', 'X.B', 'Transfer_Encoding', 'Content_Type']) {
    const reject = { ambiguousHeaders: 'reject' } as const
    t.throws(() => variables({ rawHeaders: [name, '1'] }, reject), code('BAD_HEADER'), name)
  }
  t.strictSame(ofFields(fields, { ambiguousHeaders: 'allow' }), {
    HTTP_X_A: '1',
    HTTP_X_B: '2',
    HTTP_X_C: '3',
    HTTP_X_D: '4',
  })
})

t.test('B-17: no ambiguous name takes or joins the variable of another field', async t => {
  for (const ambiguousHeaders of ['drop', 'allow'] as const) {
    for (const fields of [
      ['X-A', '1', 'X_A', '2', 'X.A', '3'],
      ['X_A', '2', 'X.A', '3', 'X-A', '1'],
    ]) {
      t.strictSame(ofFields(fields, { ambiguousHeaders }), { HTTP_X_A: '1' }, ambiguousHeaders)
    }
  }
  const dropped: string[][] = []
  const allow = {
    ambiguousHeaders: 'allow',
    onDropped: (...told: string[]) => dropped.push(told),
  } as const
  t.strictSame(ofFields(['X_A', '1', 'X.A', '2', 'x_a', '3'], allow), { HTTP_X_A: '1, 3' })
  t.strictSame(dropped, [['X.A', 'another field is HTTP_X_A']])
  t.strictSame(ofFields(['X-Forwarded_For', '6.6.6.6', 'X-Forwarded-For', '192.0.2.1'], allow), {
    HTTP_X_FORWARDED_FOR: '192.0.2.1',
  })
})

t.test('B-18: no HTTP_PROXY, whatever the options', async t => {
  for (const ambiguousHeaders of ['drop', 'allow'] as const) {
    for (const name of ['Proxy', 'proxy', 'PROXY', 'pRoXy']) {
      t.strictSame(ofFields([name, 'http://evil'], { ambiguousHeaders }), {}, name)
    }
  }
})

t.test('B-19: Authorization only where the route passes it', async t => {
  const fields = ['Authorization', 'Basic YTpi']
  t.strictSame(ofFields(fields), {})
  t.strictSame(ofFields(fields, { passAuthorization: true }), { HTTP_AUTHORIZATION: 'Basic YTpi' })
})

t.test('B-20, B-21: of the connection or for a proxy, nor by another spelling', async t => {
  const names = ['Proxy-Authorization', 'Connection', 'Keep-Alive', 'TE', 'Trailer', 'Upgrade']
  const spelled = [...names, 'Transfer-Encoding', 'Transfer_Encoding', 'Proxy_Authorization']
  const fields = spelled.flatMap(name => [name, 'x'])
  t.strictSame(ofFields(fields, { ambiguousHeaders: 'allow', passAuthorization: true }), {})
})

t.test('B-21: fields that Connection names are dropped, before or after it', async t => {
  const fields = ['X-A', '1', 'Connection', 'close, x-a ,X-B,,', 'X-B', '2', 'X-C', '3']
  t.strictSame(ofFields(fields), { HTTP_X_C: '3' })
  t.strictSame(
    ofFields(['Connection', 'X-A', 'connection', 'X-B', ...fields.slice(4), 'X-A', '']),
    {
      HTTP_X_C: '3',
    },
  )
  const twin = ['Connection', 'X-A', 'X_A', '1']
  t.strictSame(ofFields(twin, { ambiguousHeaders: 'allow' }), {})
  t.ok(variables({ rawHeaders: ['Connection', 'X-Request-Id'] }).has('HTTP_X_REQUEST_ID'))
})

t.test('B-2: a line end or NUL in a value is refused', async t => {
  for (const value of ['a\nb', 'a\rb', 'a\0b', '\n']) {
    t.throws(() => variables({ rawHeaders: ['X-A', value] }), code('BAD_HEADER'))
    t.throws(() => variables({ rawHeaders: ['Content-Type', value] }), code('BAD_HEADER'))
  }
  t.strictSame(ofFields(['X-A', 'a\tb']), { HTTP_X_A: 'a\tb' })
})

t.test('B-22: bytes 80 to FF stay as they are', async t => {
  t.strictSame(ofFields(['X-A', '\xe9\x80\xff']), { HTTP_X_A: '\xe9\x80\xff' })
})

t.test('B-27: GIT_PROTOCOL with the preset', async t => {
  const fields = ['Git-Protocol', 'version=2']
  t.strictSame(ofFields(fields), { HTTP_GIT_PROTOCOL: 'version=2' })
  t.strictSame(ofFields(fields, { preset: 'git' }), {
    HTTP_GIT_PROTOCOL: 'version=2',
    GIT_PROTOCOL: 'version=2',
  })
})

t.test('B: the request id is ours, whatever the client calls its own', async t => {
  for (const name of ['X-Request-Id', 'x-request-id', 'X_Request_Id']) {
    const found = variables({ rawHeaders: [name, 'theirs'] }, { ambiguousHeaders: 'allow' })
    t.equal(found.get('HTTP_X_REQUEST_ID'), 'id-1', name)
    t.equal(found.get('REQUEST_ID'), 'id-1', name)
  }
})

t.test('what differs between two requests is known as such by its name', async t => {
  const first = variables({})
  const other = variables(
    {
      id: 'id-2',
      method: 'POST',
      target: '/other?y',
      protocol: 'HTTP/1.0',
      query: 'y',
      rawHeaders: ['Content-Type', 'text/plain', 'Git-Protocol', 'version=2', 'X-A', '1'],
      host: 'other.test',
      remote: { address: '192.0.2.8', port: 1 },
      local: { address: '192.0.2.2', port: 1 },
      tls: true,
    },
    {
      scriptName: '/other',
      pathInfo: '/x',
      scriptFilename: '/srv/cgi/other',
      contentLength: 5,
      preset: 'git',
      authentication: { type: 'Basic', user: 'joe' },
    },
  )
  const differ = [...other.keys()].filter(name => first.get(name) !== other.get(name))
  t.ok(differ.length > 20, `${differ.length} differ`)
  t.strictSame(
    differ.filter(name => !isRequestVariable(name)),
    [],
  )
  const same = ['GATEWAY_INTERFACE', 'SERVER_SOFTWARE', 'DOCUMENT_ROOT', 'REDIRECT_STATUS', 'PATH']
  t.strictSame(same.filter(isRequestVariable), [])
})
