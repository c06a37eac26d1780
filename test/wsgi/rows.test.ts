/**
 * Conventions section I, row by row, through a whole server: what a client sees and what is in the log.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Config } from '../../src/server/config.js'
import { pythonWith, wsgiPrograms } from '../support/python.js'
import type { RawResponse } from '../support/raw-response.js'
import { startTestServer, type TestServer } from '../support/serve.js'
import { testWsgiRoute, type WsgiChanges } from '../support/wsgi-route.js'

const python = pythonWith(t) ?? ''

function serve(
  t: Test,
  changes: WsgiChanges = {},
  application = 'rows:application',
  config: Partial<Config> = {},
): Promise<TestServer> {
  return startTestServer(t, {
    routes: root => [
      testWsgiRoute('/py/', python, application, {
        ...changes,
        env: { set: { NOTES: root.notes }, pass: [] },
      }),
    ],
    ...(config.dev === true ? { config: { dev: true } } : {}),
  })
}

const factsOf = (response: RawResponse): Record<string, unknown> =>
  JSON.parse(response.text()) as Record<string, unknown>

const skip = python === ''

/** What the application does wrong leaves no worker out: a client could ask for it again and again. */
function notBlamed(t: Test, server: TestServer): void {
  const failed = server.records.filter(({ message }) => /left out|worker failed/.test(message))
  t.strictSame(failed, [], 'no worker is blamed for it')
}

const validRequests = [
  ['environ', 'GET', undefined],
  ['', 'GET', undefined],
  ['one', 'HEAD', undefined],
  ['closed', 'GET', undefined],
  ['written', 'GET', undefined],
  ['bodiless?304', 'GET', undefined],
  ['replaced', 'GET', undefined],
  ['says', 'GET', undefined],
  ['sum', 'POST', 'a body'],
  ['sum', 'POST', 'a longer body '.repeat(5_000)],
] as const

t.test('I-1 to I-4 the environ', { skip }, async t => {
  const server = await serve(t)
  const facts = factsOf(
    await server.request('/py/environ?a=1', { headers: ['Authorization: Basic eDp5'] }),
  )
  t.match(facts, {
    type: true,
    SCRIPT_NAME: '/py',
    PATH_INFO: '/environ',
    QUERY_STRING: 'a=1',
    REQUEST_METHOD: 'GET',
    SERVER_NAME: 'example.test',
    SERVER_PROTOCOL: 'HTTP/1.1',
    HTTP_AUTHORIZATION: 'Basic eDp5',
    'wsgi.version': [1, 0],
    'wsgi.url_scheme': 'http',
    'wsgi.multithread': false,
    'wsgi.multiprocess': false,
    'wsgi.run_once': false,
    cwd: wsgiPrograms,
    path0: wsgiPrograms,
    own: [],
    stdin: '',
  })
  t.notOk('CONTENT_LENGTH' in facts)
  t.notOk('CONTENT_TYPE' in facts)
  const mount = factsOf(await server.request('/py'))
  t.match(mount, { SCRIPT_NAME: '/py', PATH_INFO: '' }, 'L-6, H-12 the mount itself')
  t.match(factsOf(await server.request('/py/')), { SCRIPT_NAME: '/py', PATH_INFO: '/' })
})

t.test('I-3 several workers, several threads', { skip }, async t => {
  const many = factsOf(await (await serve(t, { count: 2, threads: 2 })).request('/py/environ'))
  t.match(many, { 'wsgi.multithread': true, 'wsgi.multiprocess': true, 'wsgi.run_once': false })
})

t.test('I-3 as CGI; the words of a query are no arguments', { skip }, async t => {
  const cgi = factsOf(await (await serve(t, { mode: 'cgi' })).request('/py/environ?--threads=9'))
  t.match(cgi, {
    'wsgi.multithread': false,
    'wsgi.multiprocess': true,
    'wsgi.run_once': true,
    SCRIPT_NAME: '/py',
    PATH_INFO: '/environ',
    path0: wsgiPrograms,
    cwd: wsgiPrograms,
  })
  t.strictSame(
    Object.keys(cgi).filter(name => name.startsWith('POSTERN')),
    [],
  )
})

t.test('I-2 bytes arrive as latin-1 and go back', { skip }, async t => {
  const server = await serve(t)
  const response = await server.request('/py/latin1/%C3%A9%FF')
  t.strictSame([...response.body].slice(-3), [0xc3, 0xa9, 0xff])
  t.equal(response.header('x-path'), '/latin1/\xc3\xa9\xff')
})

t.test('I-5 the body by read, readline, readlines and iteration', { skip }, async t => {
  const server = await serve(t)
  // Once whole with the request, once on its way while the application reads.
  for (const tail of ['', 'x'.repeat(200_000)]) {
    const body = `abcdef\nsecond line\nthird\nfourth\n${tail}`
    const facts = factsOf(await server.request('/py/read', { method: 'POST', body }))
    t.strictSame(facts, {
      three: 'abc',
      nothing: '',
      line: 'def\n',
      part: 'seco',
      'rest of the line': 'nd line\n',
      lines: ['third\n'],
      first: 'fourth\n',
      rest: tail,
      end: '',
      none: [],
    })
  }
})

t.test(
  'I-5, L-2 chunked bodies have a length; streamed ones end by themselves',
  { skip },
  async t => {
    const chunked = 'POST /py/sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
    for (const [requestBody, terminated] of [
      ['spool', false],
      ['stream', true],
    ] as const) {
      await t.test(requestBody, async t => {
        const server = await serve(t, { requestBody })
        const connection = await server.connect()
        connection.send(`${chunked}5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n`)
        t.strictSame(factsOf(await connection.response()), { total: 11, terminated })
      })
    }
  },
)

t.test('G-53 a body that is cut off is an error, not an end', { skip }, async t => {
  const server = await serve(t)
  const connection = await server.connect()
  connection.send('POST /py/cut-body HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nbegin')
  await server.root.note('reading')
  connection.destroy()
  t.match(await server.root.note('cut'), /ClientLeft|BodyTooShort/)
  t.equal((await server.request('/py/one')).text(), '12345', 'and the worker goes on')
})

t.test('G-50, L-1 a body that nobody reads', { skip }, async t => {
  const server = await serve(t)
  const body = Buffer.alloc(2_000_000)
  for (let i = 0; i < 3; i++) {
    const response = await server.request('/py/unread', { method: 'PUT', body })
    t.equal(response.status, 401)
    t.equal(response.text(), 'no')
  }
})

t.test('I-6 start_response twice, with and without exc_info', { skip }, async t => {
  const server = await serve(t)
  t.equal((await server.request('/py/twice')).status, 500)
  t.ok(await server.recordOf('start_response was called before'))
  const replaced = await server.request('/py/replaced')
  t.equal(`${replaced.status} ${replaced.reason}`, '503 Sorry')
  t.equal(replaced.header('x-first'), undefined)
  const late = await server.request('/py/too-late')
  t.ok('begun'.startsWith(late.text()))
  t.equal(late.truncated, true)
  t.ok(await server.recordOf('RuntimeError: too late to replace'))
})

t.test('I-7 the head waits for the first block that is not empty', { skip }, async t => {
  const response = await (await serve(t)).request('/py/empty-first')
  t.equal(response.status, 503)
  t.equal(response.text(), 'replaced')
})

t.test('I-8 close is called once', { skip }, async t => {
  for (const path of ['closed', 'closed-after-error', 'bodiless?204', 'closed-when-left']) {
    await t.test(path, async t => {
      const server = await serve(t)
      const connection = await server.connect()
      connection.request(`/py/${path}`)
      if (path === 'closed-when-left') {
        await connection.response({ onData: () => connection.destroy() })
      } else await connection.response()
      t.equal(await server.root.note('closed'), '1')
      t.equal((await server.request('/py/one')).status, 200, 'and the worker goes on')
    })
  }
})

t.test('I-9 write and blocks', { skip }, async t => {
  t.equal((await (await serve(t)).request('/py/written')).text(), 'one two three')
})

t.test('I-10 Content-Length', { skip }, async t => {
  const server = await serve(t)
  t.equal((await server.request('/py/one')).header('content-length'), '5')
  t.equal((await server.request('/py/sized')).header('content-length'), '5')
  for (const path of ['long', 'long-list']) {
    server.forget()
    t.equal((await server.request(`/py/${path}`)).text(), '12345', path)
    t.ok(await server.recordOf('longer than its Content-Length'), path)
  }
  for (let i = 0; i < 4; i++) t.equal((await server.request('/py/short')).truncated, true)
  t.ok(await server.recordOf('5 of 10 bytes'))
  t.equal((await server.request('/py/one')).text(), '12345')
  notBlamed(t, server)
})

t.test('I-11 hop-by-hop fields and line ends', { skip }, async t => {
  const server = await serve(t)
  const dropped = await server.request('/py/hop')
  t.equal(dropped.status, 200)
  t.equal(dropped.header('x-kept'), '1')
  t.not(dropped.header('connection'), 'close')
  const crlf = await server.request('/py/crlf?a')
  t.equal(crlf.status, 500)
  t.equal(crlf.header('set-cookie'), undefined)
  t.ok(await server.recordOf('a line end or NUL in the value of the header Location'))
})

t.test('I-11 hop-by-hop fields are an error under --dev', { skip }, async t => {
  const strict = await serve(t, { workers: { watch: [] } }, 'rows:application', { dev: true })
  t.equal((await strict.request('/py/hop')).status, 500)
  t.ok(await strict.recordOf('the header Connection belongs to the server'))
})

t.test('I-12 answers without a body', { skip }, async t => {
  const server = await serve(t)
  const connection = await server.connect()
  for (const [method, query, status] of [
    ['HEAD', '', 200],
    ['GET', '204', 204],
    ['GET', '304', 304],
  ] as const) {
    connection.request(`/py/bodiless?${query}`, { method })
    const response = await connection.response({ head: method === 'HEAD' })
    t.equal(response.status, status)
    t.equal(response.body.length, 0)
  }
  connection.request('/py/one', { method: 'HEAD' })
  t.equal((await connection.response({ head: true })).header('content-length'), '5')
})

t.test('I-13 wsgi.file_wrapper with a descriptor and without', { skip }, async t => {
  const server = await serve(t)
  const content = Buffer.alloc(3_000_001, 'file ')
  writeFileSync(join(server.root.notes, 'file'), content)
  const response = await server.request('/py/file')
  t.equal(response.body.equals(content), true)
  t.equal((await server.request('/py/bytes-io')).body.length, 10_000)
})

t.test('I-14 exceptions before and after the head', { skip }, async t => {
  const server = await serve(t)
  for (const [path, said] of [
    ['raises', 'LookupError: something of the application'],
    ['exits', 'SystemExit: 7'],
    ['str-body', 'the application gave str where a body has bytes'],
  ] as const) {
    const response = await server.request(`/py/${path}`)
    t.equal(response.status, 500, path)
    const { fields } = await server.recordOf(said)
    t.type(fields.id, 'string', 'the line has the id of the request')
  }
  for (let i = 0; i < 4; i++) {
    const broken = await server.request('/py/raises-later')
    t.equal(broken.status, 200)
    t.ok('begun'.startsWith(broken.text()), 'what was on its way may be lost')
    t.equal(broken.truncated, true)
  }
  notBlamed(t, server)
  t.ok(await server.recordOf('LookupError: in the middle of the body'))
})

t.test('wsgi.errors goes to the log line by line', { skip }, async t => {
  const server = await serve(t)
  await server.request('/py/says')
  for (const line of ['one', 'two and a half', 'ünicode']) {
    const { fields } = await server.recordOf(line)
    t.type(fields.id, 'string', line)
  }
})

t.test('wsgiref.validate has nothing to say', { skip }, async t => {
  for (const changes of [{}, { threads: 2 }, { mode: 'cgi' }, { mode: 'warm' }] as const) {
    await t.test(JSON.stringify(changes), async t => {
      const server = await serve(t, changes, 'rows:validated')
      for (const [target, method, body] of validRequests) {
        const parts = body === undefined ? { method } : { method, body }
        const { status } = await server.request(`/py/${target}`, parts)
        t.not(status, 500, `${method} ${target}`)
      }
      const found = server.records.filter(({ message }) => message.includes('AssertionError'))
      t.strictSame(found, [])
    })
  }
})

t.test('threads serve several requests of one worker at once', { skip }, async t => {
  const server = await serve(t, { threads: 2 })
  const both = await Promise.all([server.request('/py/meet'), server.request('/py/meet')])
  t.strictSame(
    both.map(response => response.text()),
    ['"met"', '"met"'],
  )
})
