/**
 * The FastCGI gateway in a whole server, with an application whose every byte is the test's own: what it is
 * sent (conventions G-1 to G-3, L-5), what becomes of what it answers (G-4 to G-15, E), and that one answer that
 * is wrong costs one request.
 */
import t, { type Test } from 'tap'
import { defaultFastCgiRoute, type FastCgiRoute } from '../../src/server/config.js'
import { everySplit } from '../support/chunks.js'
import { END, end, PARAMS, record, STDIN, STDOUT, stream } from '../support/fastcgi-bytes.js'
import { fastCgiRoute } from '../support/fastcgi-route.js'
import {
  answerBytes,
  type Script,
  type ScriptedWorker,
  startWorker,
  stderrBytes,
} from '../support/fastcgi-worker.js'
import { startTestServer, type TestServer } from '../support/serve.js'
import { waitFor } from '../support/wait-for.js'

interface Subject {
  readonly worker: ScriptedWorker
  readonly server: TestServer
}

async function start(
  t: Test,
  scripts: Readonly<Record<string, Script>>,
  changes: Partial<FastCgiRoute> = {},
): Promise<Subject> {
  const worker = await startWorker(t, scripts)
  const { address } = worker
  const server = await startTestServer(t, {
    routes: () => [fastCgiRoute('/app/', { address, capacity: 1, ...changes })],
  })
  return { worker, server }
}

const ok: Script = request => request.answer('Content-Type: text/plain\r\n\r\nok')

t.test('G-1, L-5, FCGI_ROLE what a GET is sent as, in one write', async t => {
  const { worker, server } = await start(
    t,
    { '/a b': ok },
    { env: { set: { MY_SETTING: 'é', 'http-x-b': 'ours' }, pass: [] } },
  )
  const response = await server.request('/app/a%20b?q=1', { headers: ['X-A: 1', 'X-B: theirs'] })
  t.equal(response.text(), 'ok')
  t.equal(response.header('content-type'), 'text/plain')
  const [request] = worker.requests
  t.strictSame([request?.id, request?.role, request?.flags], [1, 1, 1])
  t.strictSame(
    request?.records.slice(1).map(({ type, content }) => [type, content.length > 0]),
    [
      [PARAMS, true],
      [PARAMS, false],
      [STDIN, false],
    ],
  )
  const params = request?.params
  const want: Readonly<Record<string, string | undefined>> = {
    FCGI_ROLE: 'RESPONDER',
    MY_SETTING: '\xc3\xa9',
    HTTP_X_A: '1',
    // env.set wins.
    HTTP_X_B: 'ours',
    'HTTP_X-B': undefined,
    SCRIPT_NAME: '/app',
    PATH_INFO: '/a b',
    QUERY_STRING: 'q=1',
    REQUEST_URI: '/app/a%20b?q=1',
    CONTENT_LENGTH: undefined,
    SCRIPT_FILENAME: undefined,
    PATH: undefined,
  }
  for (const [name, value] of Object.entries(want)) t.equal(params?.get(name), value, name)
})

t.test('L-6 the prefix itself has no PATH_INFO; a PUT of nothing has CONTENT_LENGTH 0', async t => {
  const { worker, server } = await start(t, { '': ok })
  t.equal((await server.request('/app')).text(), 'ok')
  t.equal(worker.requests[0]?.params.has('PATH_INFO'), false)
  t.equal((await server.request('/app', { method: 'PUT', body: '' })).text(), 'ok')
  t.equal(worker.requests[1]?.params.get('CONTENT_LENGTH'), '0')
  t.equal(worker.connections, 1, 'the connection is kept')
})

t.test('G-3, D-1, D-2 bodies: small in one record, large in records of 32 KiB, padded', async t => {
  const echo: Script = request => {
    void request.body().then(body => request.answer(`\r\n${body.length}`))
  }
  const { worker, server } = await start(t, { '/echo': echo })
  for (const size of [1, 16 * 1024, 16 * 1024 + 1, 65_535, 65_536, 300_001]) {
    const body = Buffer.alloc(size, 'body')
    t.equal((await server.request('/app/echo', { method: 'POST', body })).text(), String(size))
    const request = worker.requests.at(-1)
    t.equal(request?.params.get('CONTENT_LENGTH'), String(size))
    t.equal((await request?.body())?.equals(body), true, `${size} bytes arrive`)
    const stdin = request?.records.filter(seen => seen.type === STDIN) ?? []
    t.equal(stdin.at(-1)?.content.length, 0)
    for (const { content, padding } of stdin) {
      t.equal((content.length + padding) % 8, 0)
      t.ok(content.length <= 32 * 1024)
    }
  }
  const connection = await server.connect()
  connection.send('PUT /app/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
  connection.send('5\r\nhello\r\n0\r\n\r\n')
  t.equal((await connection.response()).text(), '5')
  const chunked = worker.requests.at(-1)
  t.equal(chunked?.params.get('CONTENT_LENGTH'), '5', 'L-2')
  t.equal(chunked?.params.has('HTTP_TRANSFER_ENCODING'), false, 'L-2')
})

t.test('D-2 a chunked body that is spooled in memory, and one in a file', async t => {
  const echo: Script = request => {
    void request.body().then(body => request.answer(`\r\n${body.length}`))
  }
  const { worker, server } = await start(t, { '/echo': echo })
  for (const size of [70_000, 256 * 1024, 256 * 1024 + 1, 1_000_000]) {
    const body = Buffer.alloc(size, 'spool ')
    const connection = await server.connect()
    connection.send('POST /app/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    connection.send(`${size.toString(16)}\r\n`)
    connection.send(body)
    connection.send('\r\n0\r\n\r\n')
    t.equal((await connection.response()).text(), String(size))
    t.equal((await worker.requests.at(-1)?.body())?.equals(body), true)
  }
})

t.test(
  'D-3 requestBody: stream sends a chunked body as it comes, without CONTENT_LENGTH',
  async t => {
    const early: Script = request => {
      request.send(record(STDOUT, request.id, '\r\nbegun '))
      void request.body().then(body => {
        request.send(record(STDOUT, request.id, body), record(STDOUT, request.id), end(request.id))
      })
    }
    const { worker, server } = await start(t, { '/early': early }, { requestBody: 'stream' })
    const connection = await server.connect()
    connection.send('POST /app/early HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    let seen = ''
    await connection.response({
      onData: chunk => {
        seen += chunk.toString()
        if (seen === 'begun ') connection.send('5\r\nhello\r\n0\r\n\r\n')
      },
    })
    t.equal(seen, 'begun hello', 'G-16')
    t.equal(worker.requests[0]?.params.has('CONTENT_LENGTH'), false)
  },
)

t.test('G-4 a head cut at any byte, one record per piece', async t => {
  const head = 'Content-Type: a/b\r\nX-A: 1\r\n\r\nbody'
  const splits = [...everySplit(Buffer.from(head))]
  let index = 0
  const { server } = await start(t, {
    '/cut': request => {
      const pieces = splits[index++] ?? []
      for (const piece of pieces) {
        if (piece.length > 0) request.send(record(STDOUT, request.id, piece, index % 9))
      }
      request.send(record(STDOUT, request.id), end(request.id))
    },
  })
  const connection = await server.connect()
  for (const split of splits) {
    connection.request('/app/cut')
    const response = await connection.response()
    t.equal(response.text(), 'body', split.map(piece => piece.length).join('+'))
    t.equal(response.header('x-a'), '1')
  }
})

t.test('G-6, G-7, G-8, G-14 endings and records that are all right', async t => {
  const text = 'Content-Type: text/plain\r\n\r\nfine'
  const { worker, server } = await start(t, {
    '/padding': ({ id, send, ...request }) => {
      void send
      request.socket.write(
        Buffer.concat([
          record(STDOUT, id, text, 255),
          record(STDOUT, id, '', 255),
          record(END, id, Buffer.alloc(8), 13),
        ]),
      )
    },
    '/no-stdout-end': request => request.send(record(STDOUT, request.id, text), end(request.id)),
    '/no-end': request => {
      request.send(record(STDOUT, request.id, text), record(STDOUT, request.id))
      request.socket.end()
    },
    '/stranger': request => {
      request.send(
        answerBytes(7, 'Status: 500\r\n\r\nstranger'),
        record(STDOUT, 65_535, 'x'),
        record(200, request.id, 'unknown type'),
        record(99, 0, 'unknown type'),
        answerBytes(request.id, text),
        record(STDOUT, request.id, 'too late'),
      )
    },
  })
  for (const path of ['/padding', '/no-stdout-end', '/no-end', '/stranger']) {
    const response = await server.request(`/app${path}`)
    t.equal(response.text(), 'fine', path)
    t.equal(response.truncated, false)
    t.equal((await server.request('/app/next')).text(), '/next', `after ${path}`)
  }
  t.equal(worker.connections, 2, 'only a connection that was closed is not used again')
})

t.test('G-5, F-2 STDERR before, between and after STDOUT is logged with the request', async t => {
  const { server } = await start(t, {
    '/noisy': request => {
      const { id } = request
      request.send(
        stderrBytes(id, 'before\n'),
        record(STDOUT, id, 'Content-Type: a/b\r\n'),
        stderrBytes(id, 'bet'),
        stderrBytes(id, 'ween\nand '),
        record(STDOUT, id, '\r\nfine'),
        stderrBytes(id, 'after'),
        record(STDOUT, id),
        stderrBytes(id, ''),
        end(id),
      )
    },
    '/failing': request => request.send(stderrBytes(request.id, 'why\n'), end(request.id, 3)),
  })
  t.equal((await server.request('/app/noisy')).text(), 'fine')
  const { id } = await server.accessFor('/app/noisy')
  for (const line of ['before', 'between', 'and after']) {
    t.match(await server.recordOf(`"${line}"`), { level: 'warn', fields: { id } })
  }
  t.equal((await server.request('/app/failing')).status, 502)
  t.match(await server.recordOf('"why"'), { level: 'error' })
})

t.test('G-13 a status at the end of a good answer is a warning', async t => {
  const { server } = await start(t, {
    '/two': request =>
      request.send(record(STDOUT, request.id, '\r\nfine'), end(request.id, 0x01020304)),
  })
  t.equal((await server.request('/app/two')).text(), 'fine')
  t.match(await server.recordOf('ended with a failure'), {
    level: 'warn',
    fields: { status: 0x01020304 },
  })
})

/** An application that goes on all the same is not waited for long. */
const impatient = { ...defaultFastCgiRoute.timeouts, graceMs: 50 }

/** What is wrong → the code it has, and a word of the log line. */
const failures: readonly (readonly [what: string, code: string, script: Script])[] = [
  ['G-9 END_REQUEST at once', 'UPSTREAM_NO_OUTPUT', request => request.send(end(request.id))],
  [
    'G-9 END_REQUEST in the head',
    'UPSTREAM_BAD_HEAD',
    request => request.send(record(STDOUT, request.id, 'Content-Type: a/b'), end(request.id)),
  ],
  ['no head at all', 'UPSTREAM_BAD_HEAD', request => request.answer('hello')],
  [
    'E-4 a status that is none',
    'UPSTREAM_BAD_HEAD',
    request => request.answer('Status: abc\r\n\r\n'),
  ],
  ['G-25 NPH', 'UPSTREAM_BAD_HEAD', request => request.answer('HTTP/1.1 200 OK\r\n\r\n')],
  [
    'E-19 a transfer coding',
    'UPSTREAM_BAD_HEAD',
    request => request.answer('Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
  ],
  [
    'E-28 a head without end',
    'UPSTREAM_HEAD_TOO_LARGE',
    request => request.send(record(STDOUT, request.id, `X-A: ${'a'.repeat(40_000)}`)),
  ],
  ['G-8 closed without a word', 'UPSTREAM_CLOSED', request => request.socket.end()],
  ['closed by a reset', 'UPSTREAM_CLOSED', request => request.socket.destroy()],
  [
    'closed in the head',
    'UPSTREAM_CLOSED',
    request => request.socket.end(record(STDOUT, request.id, 'Content-Ty')),
  ],
  [
    'dies in a record before its content',
    'UPSTREAM_CLOSED',
    request => request.socket.end(record(STDOUT, request.id, '\r\nbody').subarray(0, 8)),
  ],
  [
    'G-15 another version',
    'PROTOCOL_ERROR',
    request => request.send(Buffer.from([9, STDOUT, 0, 1, 0, 0, 0, 0])),
  ],
  ['G-15 HTTP', 'PROTOCOL_ERROR', request => request.send(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'))],
  ...([1, 2, 4, 5, 8, 9] as const).map(
    type =>
      [
        `G-15 type ${type}, which is ours`,
        'PROTOCOL_ERROR',
        (request: Parameters<Script>[0]) => void request.send(record(type, 1, Buffer.alloc(8))),
      ] as const,
  ),
  [
    'END_REQUEST too short',
    'PROTOCOL_ERROR',
    request => request.send(record(END, request.id, Buffer.alloc(7))),
  ],
  ['G-12 another role', 'UPSTREAM_ROLE', request => request.send(end(request.id, 0, 3))],
  ['G-10 a request refused', 'PROTOCOL_ERROR', request => request.send(end(request.id, 0, 1))],
]

for (const [what, code, script] of failures) {
  t.test(`E-30 ${what} is 502, and the next request works`, async t => {
    const { server } = await start(t, { '/bad': script }, { timeouts: impatient })
    const response = await server.request('/app/bad', { method: 'POST' })
    t.equal(response.status, 502)
    t.match(await server.accessFor('/app/bad'), { status: 502, error: code })
    const line = await server.recordOf(`"code":"${code}"`)
    t.equal(line.level, 'error')
    t.equal((await server.request('/app/next')).text(), '/next')
  })
}

t.test('G-11 overloaded is 503 with Retry-After when there is no other', async t => {
  const { server } = await start(t, { '/busy': request => request.send(end(request.id, 0, 2)) })
  const response = await server.request('/app/busy')
  t.equal(response.status, 503)
  t.ok(response.header('retry-after'))
  t.match(await server.accessFor('/app/busy'), { error: 'UPSTREAM_OVERLOADED' })
  t.equal((await server.request('/app/next')).text(), '/next')
})

t.test('E-18, E-31 an answer that breaks off never looks whole', async t => {
  const { server } = await start(t, {
    '/cut': request => request.socket.end(record(STDOUT, request.id, '\r\nhalf')),
    '/length': request => request.answer('Content-Length: 20\r\n\r\n0123456789'),
    '/version': request =>
      request.send(
        record(STDOUT, request.id, '\r\nhalf'),
        Buffer.from([2, STDOUT, 0, 1, 0, 0, 0, 0]),
      ),
  })
  for (const path of ['/cut', '/length', '/version']) {
    t.equal((await server.request(`/app${path}`)).truncated, true, path)
  }
  t.match(await server.accessFor('/app/cut'), { status: 200, error: 'TRUNCATED' })
  t.match(await server.accessFor('/app/version'), { error: 'PROTOCOL_ERROR' })
  t.equal((await server.request('/app/next')).text(), '/next')
})

t.test(
  'E-12 a local redirect is the client’s to follow, unless the route says otherwise',
  async t => {
    const redirect: Script = request => request.answer('Location: /app/there\r\n\r\n')
    const plain = await start(t, { '/here': redirect })
    const response = await plain.server.request('/app/here')
    t.equal(response.status, 302)
    t.equal(response.header('location'), '/app/there')
    const local = await start(t, { '/here': redirect }, { localRedirects: true })
    t.equal((await local.server.request('/app/here')).text(), '/there')
  },
)

t.test('E-2, E-13, E-21, E-22 statuses, fields, and answers without a body', async t => {
  const { worker, server } = await start(t, {
    '/missing': request =>
      request.answer('Status: 404 Not Here\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\ngone'),
    '/none': request => request.answer('Status: 204\r\n\r\nbody'),
  })
  const connection = await server.connect()
  connection.request('/app/missing')
  const missing = await connection.response()
  t.strictSame([missing.status, missing.reason, missing.text()], [404, 'Not Here', 'gone'])
  t.strictSame(missing.all('set-cookie'), ['a=1', 'b=2'])
  connection.request('/app/missing', { method: 'HEAD' })
  t.equal((await connection.response({ head: true })).status, 404)
  connection.request('/app/none')
  t.equal((await connection.response()).body.length, 0)
  t.equal(worker.connections, 1)
})

t.test('the access line says which program, how long it waited and when it answered', async t => {
  const { worker, server } = await start(t, { '/x': ok })
  await server.request('/app/x')
  const line = await server.accessFor('/app/x')
  const name = worker.address.kind === 'unix' ? `unix:${worker.address.path}` : ''
  t.match(line, { script: name, queueMs: Number, firstByteMs: Number })
})

t.test('trace: true writes every record to the log', async t => {
  const { server } = await start(t, { '/x': ok }, { trace: true })
  await server.request('/app/x')
  t.ok(await server.recordOf('> 1 BEGIN_REQUEST responder keep-conn'))
  t.ok(await server.recordOf('< 1 END_REQUEST app 0 complete'))
})

t.test('TCP: the same, without delay', async t => {
  const worker = await startWorker(t, { '/x': ok }, { tcp: true })
  const { address } = worker
  const server = await startTestServer(t, { routes: () => [fastCgiRoute('/app/', { address })] })
  t.equal((await server.request('/app/x')).text(), 'ok')
  t.equal((await server.request('/app/x')).text(), 'ok')
  await waitFor('one connection', () => worker.connections === 1)
})

t.test('G-2 PARAMS longer than a record', async t => {
  const env = { set: { A: 'a'.repeat(60_000) }, pass: [] }
  const { worker, server } = await start(t, { '/x': ok }, { env })
  const headers = Array.from({ length: 3 }, (_, at) => `X-Long-${at}: ${'v'.repeat(9_000)}`)
  t.equal((await server.request('/app/x', { headers })).text(), 'ok')
  const [request] = worker.requests
  t.equal(request?.params.get('A')?.length, 60_000)
  t.equal(request?.params.get('HTTP_X_LONG_2')?.length, 9_000)
  t.equal(request?.records.filter(seen => seen.type === PARAMS).length, 3)
})

t.test('a stream in many records keeps its order', async t => {
  const text = Array.from({ length: 5_000 }, (_, at) => `${at}\n`).join('')
  const { server } = await start(t, {
    '/many': request => request.send(stream(STDOUT, request.id, `\r\n${text}`, 7), end(request.id)),
  })
  t.equal((await server.request('/app/many')).text(), text)
})
