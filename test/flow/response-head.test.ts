/**
 * What a program prints before its body, and what the client makes of it (conventions E, RFC 3875 §6).
 * Lengths, truncation and bodiless answers are response-framing.test.ts; failures before the head is
 * complete are bad-output.test.ts.
 */
import { STATUS_CODES } from 'node:http'
import t from 'tap'
import { printing } from '../support/programs.js'
import type { RawResponse } from '../support/raw-response.js'
import { startTestServer } from '../support/serve.js'

const plain = 'Content-Type: text/plain\n'

interface Row {
  readonly row: string
  readonly prints: string
  readonly status: number
  readonly reason?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, readonly string[]>>
}

const rows: readonly Row[] = [
  {
    row: 'E-1',
    prints: `${plain}\nhi`,
    status: 200,
    body: 'hi',
    headers: { 'Content-Type': ['text/plain'] },
  },
  { row: 'E-1 CRLF', prints: 'Content-Type: text/plain\r\n\r\nhi', status: 200, body: 'hi' },
  {
    row: 'E-1 mixed line ends',
    prints: 'X-A: 1\r\nX-B: 2\n\r\nhi',
    status: 200,
    body: 'hi',
    headers: { 'X-A': ['1'], 'X-B': ['2'] },
  },
  {
    row: 'E-1 CRLF in the body stays',
    prints: `${plain}\n\r\n\r\nhi`,
    status: 200,
    body: '\r\n\r\nhi',
  },
  {
    row: 'E-2 reason and name in any case',
    prints: `sTaTuS: 404 Not Here\n${plain}\ngone`,
    status: 404,
    reason: 'Not Here',
    body: 'gone',
    headers: { Status: [] },
  },
  {
    row: 'E-3 standard reason',
    prints: `Status: 404\n${plain}\n`,
    status: 404,
    reason: STATUS_CODES[404] ?? '',
  },
  { row: 'L-8 an odd status', prints: `Status: 418\n${plain}\n`, status: 418 },
  { row: 'L-8 a status without a name', prints: `Status: 299\n${plain}\n`, status: 299 },
  {
    row: 'E-13 several cookies, in order',
    prints: 'Set-Cookie: a=1\nSet-Cookie: b=2\nset-cookie: c=3\n\n',
    status: 200,
    headers: { 'Set-Cookie': ['a=1', 'b=2', 'c=3'] },
  },
  {
    row: 'E-14',
    prints: 'X-A: 1\nX-B: 0\nX-A: 2\n\n',
    status: 200,
    headers: { 'X-A': ['1', '2'] },
  },
  {
    row: 'E-15 first wins',
    prints: 'Status: 201\nStatus: 404\nContent-Type: text/a\nContent-Type: text/b\n\n',
    status: 201,
    headers: { 'Content-Type': ['text/a'] },
  },
  {
    row: 'E-16 no type is invented',
    prints: 'X-A: 1\n\nbody',
    status: 200,
    body: 'body',
    headers: { 'Content-Type': [] },
  },
  {
    row: 'E-20 hop-by-hop fields are dropped',
    prints: `Keep-Alive: timeout=9\nUpgrade: h2c\nTE: x\nTrailer: x\nProxy-Connection: x\n${plain}\n`,
    status: 200,
    headers: { Upgrade: [], TE: [], Trailer: [], 'Proxy-Connection': [] },
  },
  {
    row: 'E-20 names in Connection are dropped',
    prints: `Connection: X-Hop\nX-Hop: 1\n${plain}\n`,
    status: 200,
    headers: { 'X-Hop': [] },
  },
  {
    row: 'E-24 Python’s cgitb',
    prints: '<!--: spam\nContent-Type: text/html\n\n<p>',
    status: 200,
    body: '<p>',
    headers: { 'Content-Type': ['text/html'] },
  },
  {
    row: 'E-26 space before the colon, control characters, obs-fold',
    prints: `X-Space : v\nX-Control: a\x01b\nX-Fold: a\n folded: b\nX-Good: 1\n${plain}\n`,
    status: 200,
    headers: { 'X-Space': [], 'X-Control': [], folded: [], 'X-Good': ['1'] },
  },
  {
    row: 'E-27 CR in a value does not reach the client',
    prints: `X-A: one\rX-Injected: 1\n${plain}\n`,
    status: 200,
    headers: { 'X-Injected': [] },
  },
  {
    row: 'bytes 80 to FF in a value',
    prints: 'X-A: \xe9\xff\x80\n\n',
    status: 200,
    headers: { 'X-A': ['\xe9\xff\x80'] },
  },
  {
    row: 'a value with colons, and none',
    prints: 'X-A: a:b: c\nX-B:\n\n',
    status: 200,
    headers: { 'X-A': ['a:b: c'], 'X-B': [''] },
  },
  {
    row: 'L-8 a Date of its own, not even a date',
    prints: `Date: yesterday\n${plain}\n`,
    status: 200,
    headers: { Date: ['yesterday'] },
  },
  { row: 'binary body', prints: `${plain}\n\0\xff\r\n\x80`, status: 200, body: '\0\xff\r\n\x80' },
]

t.test('E the head of a program, row by row', async t => {
  const scripts = Object.fromEntries(
    rows.map(({ prints }, i) => [`${i}.cgi`, printing(prints)] as const),
  )
  const server = await startTestServer(t, { scripts })
  for (const [i, want] of rows.entries()) {
    const response = await server.request(`/cgi-bin/${i}.cgi`)
    t.equal(response.status, want.status, want.row)
    t.equal(response.truncated, false, `${want.row}: whole`)
    if (want.reason !== undefined) t.equal(response.reason, want.reason, `${want.row}: reason`)
    if (want.body !== undefined) t.equal(response.text(), want.body, `${want.row}: body`)
    for (const [name, values] of Object.entries(want.headers ?? {})) {
      t.strictSame(response.all(name), values, `${want.row}: ${name}`)
    }
  }
})

t.test('E-37 Date and Server are there, once', async t => {
  const server = await startTestServer(t, { scripts: { 'a.cgi': printing(`${plain}\n`) } })
  const response = await server.request('/cgi-bin/a.cgi')
  t.equal(response.all('date').length, 1)
  t.match(response.header('date'), /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/)
  t.equal(response.all('server').length, 1)
})

t.test('E-20 Connection: close is honoured', async t => {
  const scripts = { 'a.cgi': printing(`Connection: close\n${plain}\nbye`) }
  const server = await startTestServer(t, { scripts })
  const connection = await server.connect()
  connection.request('/cgi-bin/a.cgi')
  const response = await connection.response()
  t.equal(response.header('connection'), 'close')
  t.equal(response.text(), 'bye')
  t.equal((await connection.rest()).bytes.length, 0, 'closed')
})

t.test('E-15, E-16, E-26 leave a warning in the log', async t => {
  const scripts = {
    'twice.cgi': printing('Content-Type: text/a\nContent-Type: text/b\n\n'),
    'bad.cgi': printing(`X-Space : v\n${plain}\n`),
  }
  const server = await startTestServer(t, { scripts })
  await server.request('/cgi-bin/twice.cgi')
  t.equal((await server.recordOf('Content-Type')).level, 'warn', 'E-15')
  await server.request('/cgi-bin/bad.cgi')
  t.equal((await server.recordOf('X-Space')).level, 'warn', 'E-26')
})

t.test('E-36 a conditional GET is answered by the program’s validators', async t => {
  const date = 'Wed, 21 Oct 2015 07:28:00 GMT'
  const scripts = {
    'tag.cgi': printing(`ETag: "one"\n${plain}\nbody`),
    'date.cgi': printing(`Last-Modified: ${date}\n${plain}\nbody`),
    'status.cgi': printing(`Status: 200 OK\nETag: "one"\n${plain}\nbody`),
  }
  const server = await startTestServer(t, { scripts })
  const ask = (name: string, header: string, method = 'GET'): Promise<RawResponse> =>
    server.request(`/cgi-bin/${name}.cgi`, { method, headers: [header] })
  const match = await ask('tag', 'If-None-Match: "one"')
  t.equal(match.status, 304)
  t.equal(match.header('etag'), '"one"')
  t.equal((await ask('tag', 'If-None-Match: "two"')).status, 200)
  t.equal((await ask('date', `If-Modified-Since: ${date}`)).status, 304)
  t.equal((await ask('status', 'If-None-Match: "one"')).status, 200, 'it gave a Status')
  t.equal((await ask('tag', 'If-None-Match: "one"', 'POST')).status, 200, 'POST is not conditional')
})
