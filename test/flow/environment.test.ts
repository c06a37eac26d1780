/**
 * What a program is told: the meta-variables, built from nothing (conventions B, RFC 3875 §4.1). The
 * table of header fields is headers-to-variables.test.ts.
 */
import { join } from 'node:path'
import t from 'tap'
import { environmentOf, program } from '../support/programs.js'
import { startTestServer } from '../support/serve.js'
import { eachSpawner } from '../support/spawners.js'
import { tempRoot } from '../support/temp-root.js'

const scripts = { 'env.cgi': program('environment.sh') } as const

t.test('B the variables of a request', async t => {
  const server = await startTestServer(t, { scripts })
  const connection = await server.connect()
  connection.request('/cgi-bin/env.cgi/p/q?a=b&c=%20', {
    method: 'POST',
    headers: ['Host: Example.TEST:8080', 'Content-Type: text/x; a="b"'],
    body: 'hello',
  })
  const environment = environmentOf(await connection.response())
  const want: Readonly<Record<string, string | undefined>> = {
    AUTH_TYPE: undefined,
    CONTENT_LENGTH: '5',
    CONTENT_TYPE: 'text/x; a="b"',
    DOCUMENT_ROOT: server.root.public,
    DOCUMENT_URI: '/cgi-bin/env.cgi/p/q',
    GATEWAY_INTERFACE: 'CGI/1.1',
    HTTPS: undefined,
    HTTP_HOST: 'Example.TEST:8080',
    PATH_INFO: '/p/q',
    PATH_TRANSLATED: join(server.root.public, 'p/q'),
    QUERY_STRING: 'a=b&c=%20',
    REDIRECT_STATUS: '200',
    REMOTE_ADDR: '127.0.0.1',
    REMOTE_HOST: '127.0.0.1',
    REMOTE_IDENT: undefined,
    REMOTE_PORT: String(connection.localPort),
    REMOTE_USER: undefined,
    REQUEST_METHOD: 'POST',
    REQUEST_SCHEME: 'http',
    REQUEST_URI: '/cgi-bin/env.cgi/p/q?a=b&c=%20',
    SCRIPT_FILENAME: join(server.root.cgi, 'env.cgi'),
    SCRIPT_NAME: '/cgi-bin/env.cgi',
    SERVER_ADDR: '127.0.0.1',
    SERVER_NAME: 'example.test',
    SERVER_PORT: String(server.port),
    SERVER_PROTOCOL: 'HTTP/1.1',
  }
  for (const [name, value] of Object.entries(want)) t.equal(environment.get(name), value, name)
  t.match(environment.get('SERVER_SOFTWARE'), /^[\w-]+\/\d+\.\d+/, 'SERVER_SOFTWARE')
  t.match(environment.get('REQUEST_ID'), /^\S{8,}$/, 'REQUEST_ID')
  t.equal(environment.get('HTTP_X_REQUEST_ID'), environment.get('REQUEST_ID'))
})

t.test('B absent is unset, not empty; QUERY_STRING is always set', async t => {
  const server = await startTestServer(t, { scripts })
  for (const target of ['/cgi-bin/env.cgi', '/cgi-bin/env.cgi?']) {
    const environment = environmentOf(await server.request(target))
    t.equal(environment.get('QUERY_STRING'), '', `${target}: RFC 3875 §4.1.7`)
    for (const name of ['CONTENT_LENGTH', 'CONTENT_TYPE', 'PATH_INFO', 'PATH_TRANSLATED']) {
      t.equal(environment.has(name), false, `${target}: ${name}`)
    }
  }
  const zero = environmentOf(await server.request('/cgi-bin/env.cgi', { method: 'POST', body: '' }))
  t.equal(zero.get('CONTENT_LENGTH'), '0', 'Content-Length: 0 was said')
})

t.test('B SERVER_NAME and SERVER_PROTOCOL', async t => {
  const server = await startTestServer(t, { scripts })
  const nameFor = async (host: string): Promise<string | undefined> =>
    environmentOf(await server.request('/cgi-bin/env.cgi', { headers: [`Host: ${host}`] })).get(
      'SERVER_NAME',
    )
  t.equal(await nameFor('[::1]:8000'), '[::1]', 'brackets stay')
  t.equal(await nameFor('A.Example'), 'a.example', 'lower case')

  const old = await server.connect()
  old.send('GET /cgi-bin/env.cgi HTTP/1.0\r\n\r\n')
  const environment = environmentOf(await old.response())
  t.equal(environment.get('SERVER_PROTOCOL'), 'HTTP/1.0')
  t.ok(environment.get('SERVER_NAME'), 'SERVER_NAME is set without a Host, RFC 3875 §4.1.14')
  t.equal(environment.has('HTTP_HOST'), false)

  const named = await startTestServer(t, { scripts, config: { serverName: 'configured.test' } })
  const configured = environmentOf(await named.request('/cgi-bin/env.cgi'))
  t.equal(configured.get('SERVER_NAME'), 'configured.test', 'the configured name rules')
})

await eachSpawner(t, 'B-0 nothing of the server’s own environment', async (t, spawner) => {
  const own = {
    SECRET: '1',
    HTTP_PROXY: 'http://evil.test',
    TZ: 'UTC',
    ALSO: 'yes',
  }
  for (const [name, value] of Object.entries(own)) {
    const before = process.env[name]
    process.env[name] = value
    t.teardown(() => {
      if (before === undefined) delete process.env[name]
      else process.env[name] = before
    })
  }
  const env = { set: { Mixed_case: 'set', SERVER_SOFTWARE: 'mine' }, pass: ['ALSO'] }
  const server = await startTestServer(t, { scripts, spawner, route: { env } })
  const environment = environmentOf(await server.request('/cgi-bin/env.cgi'))
  t.equal(environment.has('SECRET'), false, 'a secret stays here')
  t.equal(environment.has('HTTP_PROXY'), false, 'HTTP_PROXY never')
  t.equal(environment.get('PATH'), process.env.PATH, 'PATH')
  t.equal(environment.get('TZ'), 'UTC', 'L-11')
  t.equal(environment.get('ALSO'), 'yes', 'env.pass')
  t.equal(environment.get('MIXED_CASE'), 'set', 'B-4 configured names become upper case')
  t.equal(environment.get('SERVER_SOFTWARE'), 'mine', 'B-0 configured variables win')
})

t.test('B a client on a unix socket', async t => {
  const folder = tempRoot(t)
  const path = join(folder.path, 'socket')
  const config = { listen: [{ kind: 'unix', path }] } as const
  const server = await startTestServer(t, { scripts, config })
  t.equal(server.origin, `unix:${path}`)
  const environment = environmentOf(await server.request('/cgi-bin/env.cgi'))
  t.equal(environment.get('REMOTE_ADDR'), 'unix:')
  t.equal(environment.has('REMOTE_PORT'), false)
  t.equal(environment.get('SERVER_NAME'), 'example.test')
  t.match(environment.get('SERVER_PORT'), /^\d+$/, 'RFC 3875 §4.1.15 wants a number')
})

t.test('B-0 without PATH a program gets a fixed safe one', async t => {
  const before = process.env.PATH
  t.teardown(() => {
    process.env.PATH = before
  })
  delete process.env.PATH
  const server = await startTestServer(t, { scripts })
  const environment = environmentOf(await server.request('/cgi-bin/env.cgi'))
  t.match(environment.get('PATH'), /^\/[\w/]+(:\/[\w/]+)*$/)
  t.match(environment.get('PATH'), /\/usr\/bin/)
})
