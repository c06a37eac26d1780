/**
 * Request heads that are too long, too many or broken: one answer, a closed connection, a server that
 * goes on (conventions, "Which 5xx"; RFC 9112 §3 and §5; L-7).
 */
import t from 'tap'
import { plainHead, shell } from '../support/programs.js'
import type { RawConnection } from '../support/raw-http.js'
import { startTestServer, type TestServer } from '../support/serve.js'

const KiB = 1024
const scripts = { 'good.cgi': shell(plainHead, 'printf good') } as const
const target = '/cgi-bin/good.cgi'

async function sent(server: TestServer, bytes: string): Promise<RawConnection> {
  const connection = await server.connect()
  connection.send(bytes)
  return connection
}

async function goesOn(
  t: { equal: (a: unknown, b: unknown, what: string) => unknown },
  server: TestServer,
): Promise<void> {
  t.equal((await server.request(target)).text(), 'good', 'and the server goes on')
}

t.test('414 and 431, at the limit and past it', async t => {
  const server = await startTestServer(t, { scripts })
  const line = (length: number): string => {
    const fixed = `GET ${target}? HTTP/1.1`.length
    return `${target}?${'a'.repeat(length - fixed)}`
  }
  const fields = (count: number, bytes: number): string[] =>
    Array.from({ length: count }, (_, i) => `X-${i}: ${'a'.repeat(bytes)}`)

  t.equal((await server.request(line(8 * KiB - 2))).status, 200, 'a line of 8 KiB')
  t.equal((await server.request(line(8 * KiB + 1))).status, 414, 'one byte more')
  t.equal((await server.request(line(20 * KiB))).status, 414, 'far more')
  t.equal(
    (await server.request(target, { headers: fields(16, 1000) })).status,
    200,
    'L-7 16 KiB pass',
  )
  t.equal((await server.request(target, { headers: fields(190, 8) })).status, 200, 'L-7 many pass')
  t.equal((await server.request(target, { headers: fields(201, 1) })).status, 431, 'too many')
  t.equal((await server.request(target, { headers: fields(33, 1000) })).status, 431, 'past 32 KiB')
  t.equal((await server.request(target, { headers: [`X: ${'a'.repeat(33 * KiB)}`] })).status, 431)
  await goesOn(t, server)
})

t.test('bombs that never end are answered and cut off', async t => {
  const server = await startTestServer(t, { scripts })
  const bombs: readonly (readonly [string, string, string, readonly number[]])[] = [
    ['a URI', 'GET /', 'a'.repeat(KiB), [414, 431]],
    ['one header', 'GET / HTTP/1.1\r\nHost: a\r\nX: ', 'a'.repeat(KiB), [431]],
    ['many headers', 'GET / HTTP/1.1\r\nHost: a\r\n', 'X-A: b\r\n'.repeat(128), [431]],
    [
      'a chunk extension',
      `POST ${target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;`,
      'a'.repeat(KiB),
      [400, 413],
    ],
    [
      'trailers',
      `POST ${target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n`,
      'X-A: b\r\n'.repeat(128),
      [400, 431],
    ],
  ]
  for (const [row, start, more, statuses] of bombs) {
    const connection = await sent(server, start)
    const answer = connection.response({}, 10_000)
    for (let i = 0; i < 1024; i++) {
      if (!connection.send(more)) break
    }
    const { status } = await answer
    t.ok(statuses.includes(status), `${row}: ${status}`)
    await connection.rest()
  }
  await goesOn(t, server)
})

t.test('400 for what is not HTTP', async t => {
  const server = await startTestServer(t, { scripts })
  const cases: readonly (readonly [string, string])[] = [
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'.padEnd(64, '\0')],
    ['a bare word', 'hello\r\n\r\n'],
    ['a target without a slash', 'GET cgi-bin/good.cgi HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['NUL in the target', `GET ${target}\0 HTTP/1.1\r\nHost: a\r\n\r\n`],
    ['a header without a colon', `GET ${target} HTTP/1.1\r\nHost: a\r\nhello\r\n\r\n`],
    ['an empty name', `GET ${target} HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n`],
    ['a control character', `GET ${target} HTTP/1.1\r\nHost: a\r\nX: a\x01b\r\n\r\n`],
  ]
  for (const [row, bytes] of cases) {
    const connection = await sent(server, bytes)
    const response = await connection.response()
    t.equal(response.status, 400, row)
    t.equal(response.header('connection'), 'close', row)
    await connection.rest()
  }
  const star = await server.request('*')
  t.equal(star.status, 400, '* is for OPTIONS only, RFC 9112 §3.2.4')
  const future = await sent(server, `GET ${target} HTTP/9.9\r\nHost: a\r\n\r\n`)
  t.ok([400, 505].includes((await future.response()).status), 'HTTP/9.9')
  await goesOn(t, server)
})

t.test('requests in one packet are answered in order', async t => {
  const server = await startTestServer(t, {
    scripts: { 'slow.cgi': shell('sleep 0.2', plainHead, 'printf slow'), ...scripts },
  })
  const one = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
  const connection = await sent(server, one('/cgi-bin/slow.cgi') + one(target) + one('/none'))
  t.equal((await connection.response()).text(), 'slow')
  t.equal((await connection.response()).text(), 'good')
  t.equal((await connection.response()).status, 404)
})
