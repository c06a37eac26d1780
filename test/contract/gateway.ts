/**
 * The suite that every gateway must pass, whichever protocol it speaks: what a client sees does not
 * depend on how the program is kept.
 *
 * A gateway's test calls it with a server and the path of a program for each behaviour. The expectations
 * are the client's; what is special to one protocol belongs in that protocol's own tests.
 */
import t, { type Test } from 'tap'
import { environmentOf } from '../support/programs.js'
import type { TestServer } from '../support/serve.js'

/** What a program does, and what it must print; every one ends its headers with an empty line. */
export interface Behaviours {
  /** The variables as NAME=value, a NUL after each. */
  readonly environment: string
  /** The request body; X-Method and X-Length say what it was told, `unset` where nothing. */
  readonly echo: string
  /** `Status: 404 Not Here`, X-A twice (1, 2), body `gone`. */
  readonly missing: string
  /** Set-Cookie: a=1, b=2, c=3. */
  readonly cookies: string
  /** `Status: 204`, and a body all the same. */
  readonly noContent: string
  /** The head cut in the middle of a line and of its end, flushed in between; body `whole`. */
  readonly splitHead: string
  /** Body `one`; then, once the note `go` is there, `two`. */
  readonly drip: string
  /** Prints `started` and works on until nobody wants its answer. */
  readonly hang: string
  /** Ends without a word. */
  readonly mute: string
  /** Content-Length 20, body of 10 bytes. */
  readonly cut: string
  /** 8 MiB of zeros. */
  readonly large: string
}

export interface Subject {
  readonly server: TestServer
  /** Request path of each behaviour. */
  readonly paths: Behaviours
  /** Status when a program gives no head: 500 for CGI, 502 for the others (E-30). */
  readonly failure: 500 | 502
  /** CONTENT_LENGTH of a request without a body: `0` for SCGI (H-2), which has to say it. Default: unset. */
  readonly withoutBody?: '0'
  /** Settles when the work of `hang` is over: its process is gone, or says that it has stopped. */
  readonly untilOver: () => Promise<unknown>
}

/** The request paths of programs that tell behaviours apart by what follows `prefix`, which ends with `/`. */
export function pathsBelow(prefix: string, suffix = ''): Behaviours {
  const at = (name: keyof Behaviours): string => `${prefix}${name}${suffix}`
  return {
    environment: at('environment'),
    echo: at('echo'),
    missing: at('missing'),
    cookies: at('cookies'),
    noContent: at('noContent'),
    splitHead: at('splitHead'),
    drip: at('drip'),
    hang: at('hang'),
    mute: at('mute'),
    cut: at('cut'),
    large: at('large'),
  }
}

const largeBytes = 8 * 1024 * 1024

/** Runs the suite; `start` is called once for each test and closes what it starts in teardown. */
export function gatewayContract(name: string, start: (t: Test) => Promise<Subject>): void {
  const check = (what: string, body: (t: Test, subject: Subject) => Promise<void>): void => {
    t.test(`${name}: ${what}`, async t => await body(t, await start(t)))
  }

  check('B the request arrives as variables', async (t, { server, paths, withoutBody }) => {
    const environment = environmentOf(
      await server.request(`${paths.environment}?a=b%20c`, {
        headers: ['X-A: 1', 'X-A: 2', 'X-High: \xe9', 'Proxy: http://evil.test', 'X_B: evil'],
      }),
    )
    const want: Readonly<Record<string, string | undefined>> = {
      REQUEST_METHOD: 'GET',
      QUERY_STRING: 'a=b%20c',
      SERVER_PROTOCOL: 'HTTP/1.1',
      REMOTE_ADDR: '127.0.0.1',
      HTTP_X_A: '1, 2',
      HTTP_X_HIGH: '\xe9',
      HTTP_PROXY: undefined,
      HTTP_X_B: undefined,
      CONTENT_LENGTH: withoutBody,
    }
    for (const [key, value] of Object.entries(want)) t.equal(environment.get(key), value, key)
  })

  check('D-1, D-2 a body arrives, with a length and chunked', async (t, { server, paths }) => {
    const body = Buffer.alloc(300_000, 'body ')
    const plain = await server.request(paths.echo, { method: 'PUT', body })
    t.equal(plain.header('x-method'), 'PUT')
    t.equal(plain.header('x-length'), '300000')
    t.equal(plain.body.equals(body), true)

    const connection = await server.connect()
    connection.send(`POST ${paths.echo} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`)
    connection.send('5\r\nhello\r\n0\r\n\r\n')
    const chunked = await connection.response()
    t.equal(chunked.header('x-length'), '5')
    t.equal(chunked.text(), 'hello')
  })

  check('E-2, E-13, E-14 status, reason and fields', async (t, { server, paths }) => {
    const missing = await server.request(paths.missing)
    t.equal(missing.status, 404)
    t.equal(missing.reason, 'Not Here')
    t.strictSame(missing.all('x-a'), ['1', '2'])
    t.equal(missing.text(), 'gone')
    const cookies = await server.request(paths.cookies)
    t.strictSame(cookies.all('set-cookie'), ['a=1', 'b=2', 'c=3'])
  })

  check(
    'E-21, E-22 answers without a body; the connection goes on',
    async (t, { server, paths }) => {
      const connection = await server.connect()
      connection.request(paths.noContent)
      t.equal((await connection.response()).status, 204)
      connection.request(paths.missing, { method: 'HEAD' })
      t.equal((await connection.response({ head: true })).status, 404)
      connection.request(paths.echo, { method: 'POST', body: 'sane' })
      t.equal((await connection.response()).text(), 'sane')
    },
  )

  check('E-1 a head in pieces; E-34 a body in pieces', async (t, { server, paths }) => {
    t.equal((await server.request(paths.splitHead)).text(), 'whole')
    const connection = await server.connect()
    connection.request(paths.drip)
    let seen = ''
    await connection.response({
      onData: chunk => {
        seen += chunk.toString()
        if (seen === 'one') server.root.leave('go')
      },
    })
    t.equal(seen, 'onetwo')
  })

  check('a large answer arrives whole', async (t, { server, paths }) => {
    const response = await server.request(paths.large)
    t.equal(response.body.length, largeBytes)
    t.equal(response.truncated, false)
  })

  check(
    'E-18, E-30 failures are told apart from answers',
    async (t, { server, paths, failure }) => {
      t.equal((await server.request(paths.mute)).status, failure)
      t.equal((await server.request(paths.cut)).truncated, true)
      t.equal((await server.request(paths.missing)).status, 404, 'and the server goes on')
    },
  )

  check('F-5 a client that leaves ends the work', async (t, { server, paths, untilOver }) => {
    const connection = await server.connect()
    connection.request(paths.hang)
    await connection.response({ onData: () => connection.destroy() })
    await untilOver()
    const again = await server.request(paths.echo, { method: 'POST', body: 'still here' })
    t.equal(again.text(), 'still here')
  })
}
