/**
 * Programs of libfcgi (C) and of FCGI.pm (perl), which is made on it, through a whole server: what the
 * contract (test/fastcgi/contract.test.ts) does not ask, and where these libraries have ways of their own.
 */
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { probeValues } from '../../src/fastcgi/probe.js'
import { startOnSocket } from '../support/fastcgi-process.js'
import { fastCgiRoute, workersOf } from '../support/fastcgi-route.js'
import { libfcgiProgram, perlWith } from '../support/peers.js'
import { children, commandOf, untilGone } from '../support/processes.js'
import { startTestServer, type TestServer } from '../support/serve.js'
import { tempRoot } from '../support/temp-root.js'

const sourceOf = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/programs/fastcgi/${name}`, import.meta.url))

async function serve(t: Test, command: readonly string[], workers = 1): Promise<TestServer> {
  return await startTestServer(t, {
    routes: root => [
      fastCgiRoute('/app/', {
        backend: workersOf(workers, { command }),
        env: { set: { NOTES: root.notes, SETTING: 'of the route' }, pass: [] },
      }),
    ],
  })
}

function suite(name: string, command: readonly string[]): void {
  const check = (what: string, body: (t: Test, server: TestServer) => Promise<void>): void => {
    t.test(`${name}: ${what}`, async t => await body(t, await serve(t, command)))
  }

  t.test(`${name}: G-21 what it says of itself when asked`, async t => {
    const address = await startOnSocket(t, command)
    const said = await probeValues(address, 5_000)
    t.strictSame(said, { maxConnections: 1, maxRequests: 1, multiplexes: false })
  })

  check('L-5 a setting of the route reaches it', async (t, server) => {
    const response = await server.request('/app/environment')
    t.match(`\0${response.text()}`, '\0SETTING=of the route\0')
  })

  check('G-5 what it says on stderr is logged, and no more', async (t, server) => {
    t.equal((await server.request('/app/talk')).text(), 'half whole')
    const records = await Promise.all(['before', 'between', 'after'].map(server.recordOf))
    for (const { level } of records) t.equal(level, 'warn')
  })

  check('E-31 its death breaks off one answer, the next is whole', async (t, server) => {
    const response = await server.request('/app/die')
    t.equal(response.status, 200)
    t.equal(response.truncated, true)
    await untilGone(Number(await server.root.note('pid')))
    t.equal((await server.request('/app/talk')).text(), 'half whole')
  })

  check('D-6, L-1 a body that it does not read is not the next request’s', async (t, server) => {
    const connection = await server.connect()
    for (const bytes of [100, 9_000, 60_000, 100_000, 3_000_000]) {
      const body = Buffer.alloc(bytes, 'x')
      connection.request('/app/unread', { method: 'POST', body })
      t.equal((await connection.response()).status, 413, `${bytes} bytes, not read`)
      connection.request('/app/echo', { method: 'POST', body })
      const echo = await connection.response()
      t.equal(echo.status, 200, `and the next, read`)
      t.equal(echo.body.equals(body), true)
    }
  })

  t.test(`${name}: two workers, one request at a time each`, async t => {
    const server = await serve(t, command, 2)
    t.equal(children().filter(pid => commandOf(pid) === command.join(' ')).length, 2)
    const held = await server.connect()
    held.request('/app/drip')
    const answered = await Promise.all(
      Array.from({ length: 4 }, async () => (await server.request('/app/splitHead')).text()),
    )
    t.strictSame(answered, ['whole', 'whole', 'whole', 'whole'], 'by the other one')
    server.root.leave('go')
    t.equal((await held.response()).text(), 'onetwo')
  })
}

const compiled = libfcgiProgram(t, sourceOf('behaviours.c'), tempRoot(t).path)
if (compiled !== undefined) suite('libfcgi', [compiled])

const perl = perlWith(t, 'FCGI')
if (perl !== undefined) suite('FCGI.pm', [perl, sourceOf('behaviours.pl')])
