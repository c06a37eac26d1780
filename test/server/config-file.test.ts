/**
 * What a configuration becomes: every key once, defaults, paths, merging. Refusals are in
 * `config-refusals.test.ts`.
 */
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { defaultCgiRoute, defaultConfig } from '../../src/server/config.js'
import { ConfigError } from '../../src/server/config-error.js'
import { parseConfigFile, readConfigFile } from '../../src/server/config-file.js'
import { configFolder } from './config-support.js'

t.test('an empty text gives the defaults', async t => {
  const folder = configFolder(t)
  for (const text of ['', '# nothing yet\n', '{}']) t.same(folder.parse(text), defaultConfig, text)
})

t.test('every key of the top arrives, in Ms and Bytes', async t => {
  const { parse, path } = configFolder(t)
  const config = parse(`
listen: [127.0.0.1:8001, "[::1]:8002", unix:run.sock, 8003, localhost:0]
root: public
index: [index.html, index.htm]
serverName: Example.TEST
processes: 2
log: { access: json, level: warn }
limits: { requestLine: 4KiB, head: 16KiB, headers: 50 }
timeouts: { head: 1s, body: 2m, keepAlive: 1h, drain: 500ms }
dev: true
`)
  t.same(config, {
    listen: [
      { kind: 'tcp', host: '127.0.0.1', port: 8001 },
      { kind: 'tcp', host: '::1', port: 8002 },
      { kind: 'unix', path: join(path, 'run.sock') },
      { kind: 'tcp', host: '127.0.0.1', port: 8003 },
      { kind: 'tcp', host: 'localhost', port: 0 },
    ],
    root: join(path, 'public'),
    index: ['index.html', 'index.htm'],
    serverName: 'example.test',
    processes: 2,
    log: { access: 'json', level: 'warn' },
    limits: { requestLineBytes: 4096, headBytes: 16_384, headerCount: 50 },
    timeouts: { headMs: 1000, bodyMs: 120_000, keepAliveMs: 3_600_000, drainMs: 500 },
    routes: [],
    hidden: [],
    dev: true,
  })
})

t.test('a cgi route with nothing but its directory has every default', async t => {
  const { route, path } = configFolder(t)
  t.same(route('routes: [{ path: /cgi-bin/, cgi: cgi-bin/ }]'), {
    ...defaultCgiRoute,
    path: '/cgi-bin/',
    target: join(path, 'cgi-bin'),
    program: false,
  })
})

t.test('every key of a cgi route arrives', async t => {
  const { route, path } = configFolder(t)
  const text = `
routes:
  - path: /x/
    cgi: cgi-bin
    interpreters: { .py: python-of-test, .sh: ./tool }
    warm: true
    index: index.cgi
    env: { set: { A: b }, pass: [TZ] }
    passAuthorization: true
    preset: git
    processes: 3
    queue: { length: 0, wait: 1s }
    timeouts: { firstByte: 1s, idle: 2s, total: 3s, grace: 0 }
    symlinks: follow
    limits: { body: 0, responseHead: 1KiB, responseHeaders: 5, stderr: 10, spoolMemory: 1MiB }
    requestBody: stream
    encodedSlash: keep
    ambiguousHeaders: reject
    plainOutput: true
    decodeChunked: true
    methods: [GET, PROPFIND]
    sendfile: [files/, public]
    cwd: files
`
  t.same(route(text), {
    kind: 'cgi',
    path: '/x/',
    target: join(path, 'cgi-bin'),
    program: false,
    interpreters: { '.py': join(path, 'bin/python-of-test'), '.sh': join(path, 'tool') },
    warm: true,
    index: ['index.cgi'],
    env: { set: { A: 'b' }, pass: ['TZ'] },
    passAuthorization: true,
    preset: 'git',
    processes: 3,
    queue: { length: 0, waitMs: 1000 },
    timeouts: { firstByteMs: 1000, idleMs: 2000, totalMs: 3000, graceMs: 0 },
    symlinks: 'follow',
    limits: {
      bodyBytes: 0,
      responseHeadBytes: 1024,
      responseHeaderCount: 5,
      stderrBytes: 10,
      spoolMemoryBytes: 1_048_576,
    },
    requestBody: 'stream',
    encodedSlash: 'keep',
    ambiguousHeaders: 'reject',
    plainOutput: true,
    decodeChunked: true,
    methods: ['GET', 'PROPFIND'],
    sendfile: [join(path, 'files'), join(path, 'public')],
    cwd: join(path, 'files'),
  })
})

t.test('the trailing slash of a path is added', async t => {
  const { route } = configFolder(t)
  for (const [given, path] of [
    ['/x', '/x/'],
    ['/x/', '/x/'],
    ['/a/b', '/a/b/'],
    ['/', '/'],
  ]) {
    t.equal(route(`routes: [{ path: ${given}, cgi: cgi-bin }]`).path, path)
  }
})

t.test('a cgi target that is a file is one program for the prefix', async t => {
  const { route, path } = configFolder(t)
  t.match(route('routes: [{ path: /x, cgi: tool }]'), { target: join(path, 'tool'), program: true })
  const mapped = 'routes: [{ path: /x, cgi: script.py, interpreters: { .py: python-of-test } }]'
  t.match(route(mapped), { program: true }, 'A-16: an interpreter needs no execute bit')
})

t.test('limits of the top are the defaults of routes, which may narrow or widen them', async t => {
  const { parse } = configFolder(t)
  const { routes, limits } = parse(`
limits: { body: 1MiB, responseHead: 8KiB, stderr: 1KiB, head: 9KiB }
routes:
  - { path: /a, cgi: cgi-bin }
  - { path: /b, cgi: cgi-bin, limits: { body: 2MiB } }
`)
  t.equal(limits.headBytes, 9 * 1024)
  t.match(routes[0]?.limits, { bodyBytes: 1_048_576, responseHeadBytes: 8192, stderrBytes: 1024 })
  t.match(routes[1]?.limits, { bodyBytes: 2_097_152, responseHeadBytes: 8192, stderrBytes: 1024 })
})

t.test('env: global and route merge, the route wins', async t => {
  const { parse } = configFolder(t)
  const [first, second] = parse(`
env: { set: { A: top, B: top }, pass: [TZ, LC_ALL] }
routes:
  - { path: /a, cgi: cgi-bin }
  - { path: /b, cgi: cgi-bin, env: { set: { a: route }, pass: [LC_ALL, EDITOR] } }
`).routes
  t.same(first?.env, { set: { A: 'top', B: 'top' }, pass: ['TZ', 'LC_ALL'] })
  t.same(second?.env, { set: { A: 'route', B: 'top' }, pass: ['TZ', 'LC_ALL', 'EDITOR'] })
})

t.test('B-4: names become upper case, and _ for what is no letter or digit', async t => {
  const { route } = configFolder(t)
  const text = 'routes: [{ path: /x, cgi: cgi-bin, env: { set: { x-git.dir é: v } } }]'
  t.same(route(text).env.set, { X_GIT_DIR__: 'v' })
})

t.test('values of variables that look like numbers arrive as they were typed', async t => {
  const { parse } = configFolder(t)
  const text = 'env: { set: { A: 007, B: 1.10, C: true, D: 0x10, E: "", F: 1_0 } }\n'
  const { routes } = parse(`${text}routes: [{ path: /x, cgi: cgi-bin }]`)
  t.same(routes[0]?.env.set, { A: '007', B: '1.10', C: 'true', D: '0x10', E: '', F: '1_0' })
})

t.test('YAML aliases stand for what they name', async t => {
  const { parse } = configFolder(t)
  const { routes } = parse(`
routes:
  - { path: /a, cgi: cgi-bin, timeouts: &slow { idle: 5m } }
  - { path: /b, cgi: cgi-bin, timeouts: *slow }
`)
  t.equal(routes[1]?.timeouts.idleMs, 300_000)
})

t.test('JSON: the same keys, with tabs', async t => {
  const { parse, path } = configFolder(t)
  const config = parse('{\n\t"listen": "8001",\n\t"root": "public"\n}\n', 'json')
  t.match(config, { listen: [{ port: 8001 }], root: join(path, 'public') })
})

t.test(
  'a file: relative to its own folder, hidden from static files, its name in messages',
  async t => {
    const { path } = configFolder(t)
    const file = join(path, 'site.json')
    writeFileSync(file, '{ "root": "public", "listen": ["8001", "8002"] }')
    const config = parseConfigFile(file)
    t.match(config, { root: join(path, 'public'), hidden: [file] })
    t.same(readConfigFile(file).listenPlaces, [
      { file, line: 1, column: 32 },
      { file, line: 1, column: 40 },
    ])
    writeFileSync(file, '{ root: "public" }')
    t.throws(() => parseConfigFile(file), { name: 'ConfigError', file, line: 1 }, 'JSON is JSON')
  },
)

t.test('files that cannot be configurations', async t => {
  const { path } = configFolder(t)
  const file = join(path, 'postern.yaml')
  const refusal = (): string => {
    try {
      parseConfigFile(file)
    } catch (error) {
      if (error instanceof ConfigError) return error.message.replaceAll(path, 'DIR')
      throw error
    }
    return ''
  }
  t.equal(
    refusal(),
    'DIR/postern.yaml: the configuration cannot be read (ENOENT); check the path and the permissions',
  )
  writeFileSync(file, Buffer.from([0x61, 0x3a, 0x20, 0xff]))
  t.equal(refusal(), 'DIR/postern.yaml: not UTF-8 text; save it as UTF-8')
  writeFileSync(file, '#'.repeat(1024 * 1024))
  t.equal(refusal(), '', 'the largest')
  writeFileSync(file, '#'.repeat(1024 * 1024 + 1))
  t.equal(refusal(), 'DIR/postern.yaml: larger than 1 MiB; name a configuration file')
})

t.test('a target behind a symbolic link is taken at its word', async t => {
  const { route, path } = configFolder(t)
  symlinkSync('cgi-bin', join(path, 'link'))
  t.equal(route('routes: [{ path: /x, cgi: link }]').target, join(path, 'link'))
})
