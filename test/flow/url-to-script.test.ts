/**
 * From the URL to the script: which file runs, and what it is told about its own name and the rest of the
 * path (conventions A, RFC 3875 §4.1.5 and §4.1.13).
 */
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { environmentOf, printing, program } from '../support/programs.js'
import { cgiRoute, type ServeOptions, startTestServer } from '../support/serve.js'

const scripts = {
  'env.cgi': program('environment.sh'),
  'sub/x.cgi': program('environment.sh'),
  'indexed/start.cgi': program('environment.sh'),
  'source.cgi': { content: '#!/bin/sh\necho secret-source\n', mode: 0o644 },
  'mapped.txt': {
    content: (program('environment.sh') as { content: Buffer }).content,
    mode: 0o644,
  },
  '.hidden.cgi': printing('Content-Type: text/plain\n\nhidden'),
  'old.cgi~': printing('Content-Type: text/plain\n\nold'),
  'old.cgi.bak': printing('Content-Type: text/plain\n\nold'),
  'old.cgi.swp': printing('Content-Type: text/plain\n\nold'),
} as const

interface Row {
  readonly row: string
  readonly target: string
  readonly want: Readonly<Record<string, string | undefined>>
}

const found: readonly Row[] = [
  {
    row: 'A-1 the script alone',
    target: '/cgi-bin/env.cgi',
    want: { SCRIPT_NAME: '/cgi-bin/env.cgi', PATH_INFO: undefined, PATH_TRANSLATED: undefined },
  },
  {
    row: 'A-2 a path after the script',
    target: '/cgi-bin/env.cgi/a/b',
    want: { SCRIPT_NAME: '/cgi-bin/env.cgi', PATH_INFO: '/a/b' },
  },
  {
    row: 'A-3 a script in a folder',
    target: '/cgi-bin/sub/x.cgi/y',
    want: { SCRIPT_NAME: '/cgi-bin/sub/x.cgi', PATH_INFO: '/y' },
  },
  {
    row: 'A-5 the index of a folder',
    target: '/cgi-bin/indexed/',
    want: { SCRIPT_NAME: '/cgi-bin/indexed/start.cgi', PATH_INFO: undefined },
  },
  {
    row: 'A-6 one slash after the script',
    target: '/cgi-bin/env.cgi/',
    want: { SCRIPT_NAME: '/cgi-bin/env.cgi', PATH_INFO: '/' },
  },
  {
    row: 'A-7 an encoded path',
    target: '/cgi-bin/env.cgi/a%20b%3Bc?d%3Be',
    want: {
      PATH_INFO: '/a b;c',
      REQUEST_URI: '/cgi-bin/env.cgi/a%20b%3Bc?d%3Be',
      QUERY_STRING: 'd%3Be',
    },
  },
  {
    row: 'A-10 dot segments after the script are resolved before mapping',
    target: '/cgi-bin/env.cgi/../sub/%2e/x.cgi/a/%2E%2e/b',
    want: { SCRIPT_NAME: '/cgi-bin/sub/x.cgi', PATH_INFO: '/b' },
  },
  {
    row: 'A-11 doubled slashes',
    target: '//cgi-bin//env.cgi//a//b',
    want: { SCRIPT_NAME: '/cgi-bin/env.cgi', PATH_INFO: '//a//b' },
  },
  {
    row: 'A-12 absolute form wins over Host',
    target: 'http://other.test/cgi-bin/env.cgi/p?q',
    want: {
      SERVER_NAME: 'other.test',
      HTTP_HOST: 'other.test',
      REQUEST_URI: '/cgi-bin/env.cgi/p?q',
      PATH_INFO: '/p',
    },
  },
  {
    row: 'A-16 an interpreter for a suffix needs no execute bit',
    target: '/cgi-bin/mapped.txt/p',
    want: { SCRIPT_NAME: '/cgi-bin/mapped.txt', PATH_INFO: '/p' },
  },
  {
    row: 'A-18 a line feed in the path is data',
    target: '/cgi-bin/env.cgi/a%0ab',
    want: { PATH_INFO: '/a\nb' },
  },
  {
    row: 'L-9 UTF-8 and other bytes in path and query',
    target: '/cgi-bin/env.cgi/%C3%A9%ff+%25?x=%C3%A9+%25&y=a;b',
    want: { PATH_INFO: '/\xc3\xa9\xff+%', QUERY_STRING: 'x=%C3%A9+%25&y=a;b' },
  },
]

t.test('paths that find a script', async t => {
  const server = await startTestServer(t, {
    scripts,
    route: { index: ['start.cgi'], interpreters: { '.txt': '/bin/sh' } },
  })
  for (const { row, target, want } of found) {
    const environment = environmentOf(await server.request(target))
    for (const [name, value] of Object.entries(want)) {
      t.equal(environment.get(name), value, `${row}: ${name}`)
    }
  }
  const translated = environmentOf(await server.request('/cgi-bin/env.cgi/a%20b'))
  t.equal(translated.get('PATH_TRANSLATED'), join(server.root.public, 'a b'), 'PATH_TRANSLATED')
  t.equal(translated.get('SCRIPT_FILENAME'), join(server.root.cgi, 'env.cgi'), 'SCRIPT_FILENAME')

  const redirect = await server.request('/cgi-bin/indexed?a=b')
  t.equal(redirect.status, 301, 'A-5 a folder without its slash')
  t.match(redirect.header('location'), /\/cgi-bin\/indexed\/\?a=b$/)
})

const refused: readonly (readonly [row: string, target: string, status: number])[] = [
  ['A-4 nothing there', '/cgi-bin/none/x', 404],
  ['A-5 a folder without an index', '/cgi-bin/sub', 403],
  ['A-5 the route itself', '/cgi-bin/', 403],
  ['A-8 an encoded slash', '/cgi-bin/env.cgi/a%2Fb', 404],
  ['A-9 NUL in PATH_INFO', '/cgi-bin/env.cgi/a%00b', 400],
  ['A-9 NUL in the name', '/cgi-bin/env.cgi%00.txt', 400],
  ['A-10 climbing above the root', '/cgi-bin/../../secret', 400],
  ['A-10 climbing, encoded', '/cgi-bin/%2e%2e/%2e%2e/secret', 400],
  ['A-10 climbing in absolute form', 'http://example.test/%2e%2e/secret', 400],
  ['A-10 a half-encoded dot', '/cgi-bin/.%2e/.%2E/secret', 400],
  ['A-14 not executable, and never served as text', '/cgi-bin/source.cgi', 403],
  ['A-15 a dot file', '/cgi-bin/.hidden.cgi', 404],
  ['A-15 an editor’s backup', '/cgi-bin/old.cgi~', 404],
  ['A-15 a .bak', '/cgi-bin/old.cgi.bak', 404],
  ['A-15 a .swp', '/cgi-bin/old.cgi.swp', 404],
  ['A-18 a line feed in the name', '/cgi-bin/env.cgi%0a', 404],
  ['a bad escape', '/cgi-bin/env.cgi/%zz', 400],
  ['the folder of scripts is not a folder of files', '/cgi-binx/env.cgi', 404],
]

t.test('paths that are refused', async t => {
  const server = await startTestServer(t, { scripts })
  writeFileSync(join(server.root.path, 'secret'), 'secret-file')
  for (const [row, target, status] of refused) {
    const response = await server.request(target)
    t.equal(response.status, status, row)
    t.notMatch(response.text(), /secret-/, `${row}: nothing leaks`)
  }
  t.equal((await server.request('/cgi-bin/env.cgi')).status, 200, 'and the server goes on')
})

t.test('A-8 an encoded slash by option', async t => {
  const decode = await startTestServer(t, { scripts, route: { encodedSlash: 'decode' } })
  const decoded = environmentOf(await decode.request('/cgi-bin/env.cgi/a%2Fb'))
  t.equal(decoded.get('PATH_INFO'), '/a/b')
  t.equal(decoded.get('REQUEST_URI'), '/cgi-bin/env.cgi/a%2Fb')

  const keep = await startTestServer(t, { scripts, route: { encodedSlash: 'keep' } })
  const kept = environmentOf(await keep.request('/cgi-bin/env.cgi/a%2Fb'))
  t.equal(kept.get('PATH_INFO'), '/a%2Fb')
})

t.test('A-13 symbolic links', async t => {
  const status = async (
    symlinks: 'inside' | 'follow' | 'refuse',
    name: string,
  ): Promise<number> => {
    const server = await startTestServer(t, { scripts, route: { symlinks } })
    const outside = join(server.root.path, 'outside.cgi')
    writeFileSync(outside, '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"\n', { mode: 0o755 })
    symlinkSync(outside, join(server.root.cgi, 'leaving.cgi'))
    symlinkSync('env.cgi', join(server.root.cgi, 'staying.cgi'))
    return (await server.request(`/cgi-bin/${name}`)).status
  }
  t.equal(await status('inside', 'staying.cgi'), 200)
  t.equal(await status('inside', 'leaving.cgi'), 403)
  t.equal(await status('follow', 'leaving.cgi'), 200)
  t.equal(await status('refuse', 'staying.cgi'), 403)
})

t.test('A-14 sources below the document root are not files', async t => {
  const server = await startTestServer(t, {
    files: { 'page.txt': 'a page', 'scripts/a.cgi': '#!/bin/sh\necho secret-source\n' },
    routes: root => [cgiRoute(root, { path: '/run/', target: join(root.public, 'scripts') })],
  })
  t.equal((await server.request('/page.txt')).text(), 'a page')
  for (const target of [
    '/scripts/a.cgi',
    '//scripts//a.cgi',
    '/x/../scripts/a%2ecgi',
    '/run/a.cgi',
  ]) {
    const response = await server.request(target)
    t.ok([403, 404].includes(response.status), `${target}: ${response.status}`)
    t.notMatch(response.text(), /secret-/, target)
  }
})

t.test('L-6 one program for a whole prefix', async t => {
  const routes: ServeOptions['routes'] = root => [
    cgiRoute(root, { path: '/app/', target: join(root.cgi, 'env.cgi'), program: true }),
  ]
  const server = await startTestServer(t, { scripts, routes })
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['/app/x/y', '/x/y'],
    ['/app/', '/'],
    ['/app', undefined],
  ]
  for (const [target, pathInfo] of rows) {
    const environment = environmentOf(await server.request(target))
    t.equal(environment.get('SCRIPT_NAME'), '/app', target)
    t.equal(environment.get('PATH_INFO'), pathInfo, target)
  }
  t.equal((await server.request('/apple')).status, 404, 'a longer name is another one')
})

t.test('A-19, A-20 methods', async t => {
  const server = await startTestServer(t, { scripts, route: { methods: ['GET', 'PROPFIND'] } })
  const methodOf = async (method: string): Promise<string | undefined> =>
    environmentOf(await server.request('/cgi-bin/env.cgi', { method })).get('REQUEST_METHOD')
  t.equal(await methodOf('PROPFIND'), 'PROPFIND', 'A-20')

  const denied = await server.request('/cgi-bin/env.cgi', { method: 'POST', body: 'x' })
  t.equal(denied.status, 405, 'A-20 not on the list')
  t.equal(denied.header('allow'), 'GET, PROPFIND')

  t.equal((await server.request('*', { method: 'OPTIONS' })).status, 200, 'A-19 OPTIONS *')
  const connect = await server.request('example.test:443', { method: 'CONNECT' })
  t.equal(connect.status, 501, 'A-19 CONNECT')
})
