/**
 * HTTP servers of others behind a proxy route, with the same Flask application: gunicorn over TCP and over a unix
 * socket, uWSGI's own HTTP, and wsgiref, which speaks HTTP/1.0.
 */
import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { openListenSocket } from '../../src/process/listen-socket.js'
import type { Address } from '../../src/upstream/address.js'
import { startProcess } from '../support/fastcgi-process.js'
import { peer, pythonWith } from '../support/peers.js'
import { proxyRoute } from '../support/proxy-route.js'
import { chunkBytes } from '../support/raw-http.js'
import { startTestServer, type TestServer } from '../support/serve.js'
import { tempRoot } from '../support/temp-root.js'
import { waitFor } from '../support/wait-for.js'

const app = fileURLToPath(new URL('../fixtures/programs/proxy/flask_app.py', import.meta.url))
const folder = dirname(app)

type Start = (t: Test) => Promise<Address>

async function suite(name: string, start: Start): Promise<void> {
  await t.test(name, async t => {
    const address = await start(t)
    const server = await startTestServer(t, {
      routes: () => [
        proxyRoute('/py/', [address], { stripPrefix: true }),
        proxyRoute('/', [address]),
      ],
    })
    await waitFor(`${name} answers`, async () => (await server.request('/')).status === 200, 20_000)
    await facts(t, server)
    await bodies(t, server)
    await answers(t, server)
  })
}

async function facts(t: Test, server: TestServer): Promise<void> {
  const headers = [
    ...['Host: public.test:8080', 'User-Agent: x/1', 'X-Forwarded-For: 6.6.6.6', 'X_A: evil'],
    ...['Proxy: http://evil.test', 'Authorization: Basic YWRhOng='],
  ]
  const answer = await server.request('/py/facts/caf%C3%A9/a+b;c?q=%20%C3%A9', { headers })
  t.equal(answer.status, 200)
  t.strictSame(JSON.parse(answer.text()), {
    rest: 'café/a+b;c',
    url: 'http://public.test:8080/py/facts/café/a+b;c?q=%20é',
    query: 'q=%20%C3%A9',
    remote: '127.0.0.1',
    agent: 'x/1',
    auth: 'ada',
    proxy: null,
    twin: null,
  })
}

async function bodies(t: Test, server: TestServer): Promise<void> {
  const data = Buffer.alloc(20 * 1024 * 1024, 'twenty megabytes ')
  const body = Buffer.concat([
    Buffer.from('--xx\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'),
    data,
    Buffer.from('\r\n--xx--\r\n'),
  ])
  const upload = await server.request('/upload', {
    method: 'POST',
    headers: ['Content-Type: multipart/form-data; boundary=xx'],
    body,
  })
  const sha1 = createHash('sha1').update(data).digest('hex')
  t.strictSame(JSON.parse(upload.text()), { name: 'a.bin', bytes: data.length, sha1 })

  const connection = await server.connect()
  connection.send('POST /raw HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
  for (let i = 0; i < 10; i++) connection.send(chunkBytes(Buffer.alloc(100_000, 'x')))
  connection.send(chunkBytes(''))
  const raw = await connection.response()
  t.strictSame(JSON.parse(raw.text()), { bytes: 1_000_000, length: 1_000_000 }, 'L-2')
  connection.destroy()
}

async function answers(t: Test, server: TestServer): Promise<void> {
  const login = await server.request('/py/login', { headers: ['Host: public.test'] })
  t.equal(login.status, 302)
  t.equal(login.header('location'), 'http://public.test/py/whoami')
  const [cookie = ''] = login.header('set-cookie')?.split(';') ?? []
  t.equal((await server.request('/whoami', { headers: [`Cookie: ${cookie}`] })).text(), 'ada')

  const teapot = await server.request('/teapot')
  t.equal(teapot.status, 418)
  t.equal(teapot.all('date').length, 1)
  t.equal(teapot.all('server').length, 1)
  t.equal((await server.request('/events')).text(), 'data: 0\n\ndata: 1\n\ndata: 2\n\n')
  const head = await server.request('/teapot', { method: 'HEAD' })
  t.equal(head.header('content-length'), '15')

  const many = await Promise.all(Array.from({ length: 60 }, () => server.request('/')))
  t.ok(
    many.every(({ status }) => status === 200),
    'sixty at once',
  )
}

const gunicorn = peer(t, 'gunicorn')
if (gunicorn !== undefined) {
  const start = (...bind: readonly string[]): readonly string[] => [
    ...[gunicorn, '--workers', '2', '--chdir', folder, '--log-level', 'warning'],
    ...['--bind', ...bind, 'flask_app:app'],
  ]
  await suite('gunicorn over TCP', async t => {
    const place = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const
    const socket = await openListenSocket(place, { backlog: 64, mode: 0o600 })
    startProcess(t, start('fd://0'), socket.fd)
    socket.release()
    return socket.address
  })
  await suite('gunicorn with threads over a unix socket', async t => {
    const path = join(tempRoot(t).path, 'gunicorn.sock')
    startProcess(t, start(`unix:${path}`, '--threads', '4'))
    return { kind: 'unix', path }
  })
}

const uwsgi = peer(t, 'uwsgi_python3')
if (uwsgi !== undefined) {
  await suite('uWSGI over its own HTTP', async t => {
    const path = join(tempRoot(t).path, 'uwsgi.sock')
    startProcess(t, [
      ...[uwsgi, '--http-socket', path, '--processes', '2', '--master', '--die-on-term'],
      ...['--disable-logging', '--logto', join(tempRoot(t).path, 'log')],
      ...['--chdir', folder, '--wsgi-file', app, '--callable', 'app', '--need-app'],
    ])
    return { kind: 'unix', path }
  })
}

const python = pythonWith(t, 'flask')
if (python !== undefined) {
  await suite('wsgiref', async t => {
    const root = tempRoot(t)
    startProcess(t, [python, app, join(root.notes, 'port')])
    return { kind: 'tcp', host: '127.0.0.1', port: Number(await root.note('port', 20_000)) }
  })
}
