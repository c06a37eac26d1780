/**
 * Go's net/http/fcgi through a whole server: the one program at hand that multiplexes. It says so when asked,
 * and is given several requests on one connection.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { probeValues } from '../../src/fastcgi/probe.js'
import { defaultFastCgiRoute, type FastCgiRoute } from '../../src/server/config.js'
import { startOnSocket } from '../support/fastcgi-process.js'
import { fastCgiRoute } from '../support/fastcgi-route.js'
import { peer } from '../support/peers.js'
import { chunkBytes } from '../support/raw-http.js'
import { startTestServer, type TestServer } from '../support/serve.js'
import { tempRoot } from '../support/temp-root.js'
import { waitFor } from '../support/wait-for.js'

const source = fileURLToPath(new URL('../fixtures/programs/fastcgi/go/main.go', import.meta.url))

/** The program, made anew: the compiler keeps what it has made of its library. */
function build(t: Test): string | undefined {
  const go = peer(t, 'go')
  if (go === undefined) return undefined
  const program = join(tempRoot(t).path, 'go-program')
  const env = { ...process.env, GO111MODULE: 'off', CGO_ENABLED: '0' }
  execFileSync(go, ['build', '-o', program, source], { env, stdio: 'pipe' })
  return program
}

async function serve(
  t: Test,
  program: string,
  changes: Partial<FastCgiRoute> = {},
): Promise<TestServer> {
  const address = await startOnSocket(t, [program])
  return await startTestServer(t, {
    routes: root => [
      fastCgiRoute('/go/', {
        address,
        probe: true,
        env: { set: { NOTES: root.notes }, pass: [] },
        timeouts: { ...defaultFastCgiRoute.timeouts, graceMs: 200 },
        ...changes,
      }),
    ],
  })
}

interface Dripped {
  readonly text: string
  readonly connections: string | undefined
}

/** Begins a request that is held; once its first word is here, gives what waits for the rest of it. */
async function beginDrip(server: TestServer): Promise<() => Promise<Dripped>> {
  const connection = await server.connect()
  connection.request('/go/drip')
  let text = ''
  const onData = (chunk: Buffer): void => {
    text += chunk.toString()
  }
  const response = connection.response({ onData })
  await waitFor('the first word', () => text === 'one')
  return async () => ({ connections: (await response).header('x-connections'), text })
}

function suite(program: string): void {
  t.test('G-21 what it says of itself when asked', async t => {
    const said = await probeValues(await startOnSocket(t, [program]), 5_000)
    t.match(said, { multiplexes: true, maxRequests: undefined, maxConnections: undefined })
  })

  t.test('B the request arrives', async t => {
    const server = await serve(t, program)
    const response = await server.request('/go/a%20b?x=1&y=%2F', { headers: ['Host: A.test:81'] })
    t.match(response.text(), /^GET \/go\/a%20b\?x=1&y=%2F a\.test(:81)? 127\.0\.0\.1:\d+$/i)
  })

  t.test('D-1, L-2 bodies with a length and chunked', async t => {
    const server = await serve(t, program)
    const body = Buffer.alloc(256 * 1024, 'go ')
    const plain = await server.request('/go/echo', { method: 'POST', body })
    t.equal(plain.header('x-length'), String(body.length))
    t.equal(plain.body.equals(body), true)

    const connection = await server.connect()
    connection.send('POST /go/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    connection.send(Buffer.concat([chunkBytes(body), chunkBytes('')]))
    const chunked = await connection.response()
    t.equal(chunked.header('x-length'), String(body.length))
    t.equal(chunked.body.equals(body), true)
  })

  t.test('§3.3 requests share a connection, and none waits for another', async t => {
    const server = await serve(t, program)
    const dripped = await beginDrip(server)
    let before: string | undefined
    const body = Buffer.alloc(100_000, 'x')
    for (const _ of [1, 2, 3]) {
      const response = await server.request('/go/echo', { method: 'POST', body })
      t.equal(response.body.equals(body), true)
      before ??= response.header('x-connections')
      t.equal(response.header('x-connections'), before)
    }
    server.root.leave('go')
    t.strictSame(await dripped(), { connections: before, text: 'onetwo' })
  })

  t.test('without the question, each request has a connection', async t => {
    const server = await serve(t, program, { probe: false })
    const dripped = await beginDrip(server)
    t.equal((await server.request('/go/')).header('x-connections'), '2')
    server.root.leave('go')
    t.strictSame(await dripped(), { connections: '1', text: 'onetwo' })
  })

  t.test('G-18 a client that leaves ends its own request, not that of another', async t => {
    const server = await serve(t, program)
    const dripped = await beginDrip(server)
    const leaving = await server.connect()
    leaving.request('/go/hang')
    await leaving.response({ onData: () => leaving.destroy() })
    t.match(await server.accessFor('/go/hang'), { status: 200, error: 'CLIENT_LEFT' })
    server.root.leave('go')
    t.equal((await dripped()).text, 'onetwo')
    t.equal(await server.root.note('over'), 'given up')
    t.equal((await server.request('/go/echo', { method: 'POST', body: 'on' })).text(), 'on')
  })
}

const program = build(t)
if (program !== undefined) suite(program)
