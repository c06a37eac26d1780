/** What a fastcgi route of a configuration becomes, and every rule of it broken once. */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { defaultFastCgiRoute, defaultWorkers, type WorkersConfig } from '../../src/server/config.js'
import { parseConfigText } from '../../src/server/config-file.js'
import { type ConfigFolder, configFolder } from './config-support.js'

function workersOf({ fastCgiRoute }: ConfigFolder, text: string): WorkersConfig {
  const { backend } = fastCgiRoute(text)
  if (backend.kind !== 'workers') throw new Error('the route has no workers')
  return backend.workers
}

t.test('a fastcgi route with nothing but its address has every default', async t => {
  const { fastCgiRoute } = configFolder(t)
  t.same(fastCgiRoute('routes: [{ path: /app, fastcgi: "127.0.0.1:9000" }]'), {
    ...defaultFastCgiRoute,
    path: '/app/',
    backend: {
      kind: 'addresses',
      addresses: [{ kind: 'tcp', host: '127.0.0.1', port: 9000 }],
    },
  })
})

t.test('every key of a fastcgi route arrives', async t => {
  const { fastCgiRoute, path } = configFolder(t)
  const text = `
routes:
  - path: /php/
    fastcgi: [unix:run/php.sock, unix:/run/other.sock, "tcp:[::1]:9000", localhost:9001]
    root: files
    index: [index.php, index.html]
    split: .php
    role: filter
    abort: false
    localRedirects: true
    probe: true
    trace: true
    capacity: 16
    authorize: unix:auth.sock
    env: { set: { A: b }, pass: [TZ] }
    passAuthorization: true
    queue: { length: 1, wait: 2s }
    timeouts: { connect: 1s, firstByte: 2s, idle: 3s, total: 4s, grace: 5s }
    limits: { body: 0 }
    requestBody: stream
    encodedSlash: keep
    ambiguousHeaders: reject
    decodeChunked: true
    methods: [GET]
    sendfile: [files]
`
  t.same(fastCgiRoute(text), {
    ...defaultFastCgiRoute,
    path: '/php/',
    backend: {
      kind: 'addresses',
      addresses: [
        { kind: 'unix', path: join(path, 'run/php.sock') },
        { kind: 'unix', path: '/run/other.sock' },
        { kind: 'tcp', host: '::1', port: 9000 },
        { kind: 'tcp', host: 'localhost', port: 9001 },
      ],
    },
    root: join(path, 'files'),
    index: ['index.php', 'index.html'],
    split: '.php',
    role: 'filter',
    sendAbort: false,
    localRedirects: true,
    probe: true,
    trace: true,
    capacity: 16,
    authorize: { kind: 'unix', path: join(path, 'auth.sock') },
    env: { set: { A: 'b' }, pass: ['TZ'] },
    passAuthorization: true,
    queue: { length: 1, waitMs: 2000 },
    timeouts: {
      connectMs: 1000,
      firstByteMs: 2000,
      idleMs: 3000,
      totalMs: 4000,
      graceMs: 5000,
    },
    limits: { ...defaultFastCgiRoute.limits, bodyBytes: 0 },
    requestBody: 'stream',
    encodedSlash: 'keep',
    ambiguousHeaders: 'reject',
    decodeChunked: true,
    methods: ['GET'],
    sendfile: [join(path, 'files')],
  })
})

t.test('authorize is a key of cgi routes as well', async t => {
  const { route } = configFolder(t)
  const text = 'routes: [{ path: /x, cgi: cgi-bin, authorize: "tcp:127.0.0.1:9000" }]'
  t.same(route(text).authorize, { kind: 'tcp', host: '127.0.0.1', port: 9000 })
})

t.test('workers of a command have every default, and run in the folder of the file', async t => {
  const folder = configFolder(t)
  const { path } = folder
  t.same(workersOf(folder, 'routes: [{ path: /x, fastcgi: { command: [./tool] } }]'), {
    ...defaultWorkers,
    command: [join(path, 'tool')],
    directory: path,
    env: [`PATH=${join(path, 'bin')}`],
    watch: [join(path, 'tool'), path],
  })
})

t.test('every key of workers arrives', async t => {
  const folder = configFolder(t)
  const { path } = folder
  const text = `
routes:
  - path: /x
    fastcgi:
      command: [python-of-test, script.py, --port=0, notes.txt]
      workers: { min: 1, max: 8, spare: 2, idle: 30s }
      directory: .
      recycle: { requests: 1000, age: 1h, memory: 256MiB }
      ready: 20s
      stuck: { signal: SIGUSR1, dump: 1s }
    timeouts: { grace: 7s }
`
  const script = join(path, 'script.py')
  t.same(workersOf(folder, text), {
    command: [join(path, 'bin/python-of-test'), 'script.py', '--port=0', 'notes.txt'],
    directory: path,
    env: [`PATH=${join(path, 'bin')}`],
    count: { min: 1, max: 8, spare: 2, idleMs: 30_000 },
    recycling: { requests: 1000, ageMs: 3_600_000, memoryBytes: 268_435_456 },
    readyMs: 20_000,
    graceMs: 7000,
    stuckSignal: 'SIGUSR1',
    stuckDumpMs: 1000,
    watch: [join(path, 'bin/python-of-test'), script, join(path, 'notes.txt'), path],
  })
})

t.test('numbers of workers', async t => {
  const folder = configFolder(t)
  for (const [written, count] of [
    ['2', { min: 2, max: 2, spare: 0, idleMs: 60_000 }],
    ['{ max: 3 }', { min: 1, max: 3, spare: 0, idleMs: 60_000 }],
    ['{ min: 0, max: 3 }', { min: 0, max: 3, spare: 0, idleMs: 60_000 }],
    ['{ min: 3, max: 3, spare: 3, idle: 1s }', { min: 3, max: 3, spare: 3, idleMs: 1000 }],
  ] as const) {
    const text = `routes: [{ path: /x, fastcgi: { command: [./tool], workers: ${written} } }]`
    t.same(workersOf(folder, text).count, count, written)
  }
})

t.test('workers have the variables of programs, without a request', async t => {
  const { path } = configFolder(t)
  const text = `
env: { set: { A: top }, pass: [SEEN] }
routes: [{ path: /x, fastcgi: { command: [./tool] }, env: { set: { b: route } } }]
`
  const environment = { PATH: '/bin', HOME: '/root', SEEN: 'yes', SECRET: 'no' }
  const source = { file: 'postern.yaml', directory: path, format: 'yaml', environment } as const
  const [route] = parseConfigText(text, source).routes
  t.same(
    route?.kind === 'fastcgi' && route.backend.kind === 'workers' && route.backend.workers.env,
    ['PATH=/bin', 'HOME=/root', 'SEEN=yes', 'A=top', 'B=route'],
  )
})

t.test('the programs of workers are never served as files', async t => {
  const { parse, path } = configFolder(t)
  const text = 'routes: [{ path: /x, fastcgi: { command: [./tool, script.py, other] } }]'
  t.same(parse(text).hidden, [join(path, 'tool'), join(path, 'script.py')])
})

/** Text → message. */
type Table = readonly (readonly [text: string, message: string])[]

function refuses(name: string, table: Table): void {
  t.test(name, async (t: Test) => {
    const { refusal } = configFolder(t)
    for (const [text, message] of table) t.equal(refusal(text), message, text)
  })
}

/** A route on one line with these further keys; they begin at column 44. */
const withRoute = (keys: string): string => `routes: [{ path: /a, fastcgi: "host:9000", ${keys} }]`

/** Workers on one line with these further keys; they begin at column 52. */
const withWorkers = (keys: string): string =>
  `routes: [{ path: /a, fastcgi: { command: [./tool], ${keys} } }]`

const addresses = 'write for example unix:/run/app.sock, tcp:127.0.0.1:9000, or 127.0.0.1:9000'
const suffix = 'write for example .php'
const durations = 'write for example 500ms, 30s, 5m, 1h, or 0 for none'

refuses('addresses of applications', [
  [
    'routes: [{ path: /a, fastcgi: true }]',
    'postern.yaml:1:31: routes[0].fastcgi: expected an address, a list of them, or a command, got true; write for example unix:/run/app.sock',
  ],
  [
    'routes: [{ path: /a, fastcgi: /run/app.sock }]',
    `postern.yaml:1:31: routes[0].fastcgi: expected an address, got "/run/app.sock"; ${addresses}`,
  ],
  [
    'routes: [{ path: /a, fastcgi: ["h:1", "h"] }]',
    `postern.yaml:1:39: routes[0].fastcgi[1]: expected an address, got "h"; ${addresses}`,
  ],
  [
    'routes: [{ path: /a, fastcgi: [] }]',
    'postern.yaml:1:31: routes[0].fastcgi: expected an address or a list of them, got []; write for example unix:/run/app.sock',
  ],
  [
    'routes: [{ path: /a, fastcgi: ["h:1", "tcp:h:1"] }]',
    'postern.yaml:1:39: routes[0].fastcgi[1]: h:1 is there already; remove one of the two, and set capacity for more requests at once',
  ],
  [
    withRoute('authorize: nobody'),
    `postern.yaml:1:55: routes[0].authorize: expected an address, got "nobody"; ${addresses}`,
  ],
])

t.test('the path of a socket: 107 bytes and one more', async t => {
  const { fastCgiRoute, refusal } = configFolder(t)
  const name = `/${'s'.repeat(106)}`
  const text = (path: string): string => `routes: [{ path: /a, fastcgi: "unix:${path}" }]`
  t.match(fastCgiRoute(text(name)).backend, { addresses: [{ path: name }] })
  t.equal(
    refusal(text(`${name}s`)),
    `postern.yaml:1:31: routes[0].fastcgi: the path of a socket has at most 107 bytes, ${name}s is longer; write a shorter one, for example unix:/run/app.sock`,
  )
})

refuses('what belongs to files needs a folder of files', [
  [
    withRoute('split: .php'),
    'postern.yaml:1:44: routes[0].split: a route without root has no files to split; add root: with the folder of the files, or remove it',
  ],
  [
    withRoute('index: index.php'),
    'postern.yaml:1:44: routes[0].index: a route without root has no files; add root: with the folder of the files, or remove it',
  ],
  [
    withRoute('role: filter'),
    'postern.yaml:1:50: routes[0].role: a filter needs files, and the route has no root; add root: with the folder of the files, or remove it',
  ],
  [
    withRoute('root: nowhere'),
    'postern.yaml:1:50: routes[0].root: there is no folder DIR/nowhere; create it, or correct the path',
  ],
  [
    withRoute('split: php'),
    `postern.yaml:1:51: routes[0].split: expected a suffix that begins with a dot, got "php"; ${suffix}`,
  ],
  [
    withRoute('split: a/.php'),
    `postern.yaml:1:51: routes[0].split: expected a suffix that begins with a dot, got "a/.php"; ${suffix}`,
  ],
])

refuses('values of a fastcgi route', [
  [
    withRoute('role: authorizer'),
    'postern.yaml:1:50: routes[0].role: expected responder or filter, got "authorizer"; write for example responder',
  ],
  [
    withRoute('capacity: 0'),
    'postern.yaml:1:54: routes[0].capacity: expected an integer >= 1, got 0; write for example 8',
  ],
  [
    withRoute('timeouts: { connect: 5 }'),
    `postern.yaml:1:65: routes[0].timeouts.connect: expected a duration, got 5; ${durations}`,
  ],
  ...['abort', 'probe', 'trace', 'localRedirects'].map(
    key =>
      [
        withRoute(`${key}: 1`),
        `postern.yaml:1:${46 + key.length}: routes[0].${key}: expected true or false, got 1; write for example true`,
      ] as const,
  ),
  [
    withRoute('workers: 4'),
    'postern.yaml:1:44: routes[0].workers: unknown key; the keys here are fastcgi, path, env, passAuthorization, queue, limits, requestBody, encodedSlash, ambiguousHeaders, decodeChunked, methods, sendfile, authorize, timeouts, capacity, root, index, split, role, abort, localRedirects, probe, trace',
  ],
])

refuses('the command of workers is there and can be run', [
  [
    'routes: [{ path: /a, fastcgi: { workers: 4 } }]',
    'postern.yaml:1:31: routes[0].fastcgi.command: expected a list of words, got nothing; write for example [./worker.fcgi]',
  ],
  [
    'routes: [{ path: /a, fastcgi: { command: ./tool } }]',
    'postern.yaml:1:42: routes[0].fastcgi.command: expected a list of words, got "./tool"; write for example [./worker.fcgi]',
  ],
  [
    'routes: [{ path: /a, fastcgi: { command: [] } }]',
    'postern.yaml:1:42: routes[0].fastcgi.command: expected a list of words, got []; write for example [./worker.fcgi]',
  ],
  [
    'routes: [{ path: /a, fastcgi: { command: [./nowhere] } }]',
    'postern.yaml:1:43: routes[0].fastcgi.command[0]: there is no program DIR/nowhere; install it, or correct the path',
  ],
  [
    'routes: [{ path: /a, fastcgi: { command: [./cgi-bin] } }]',
    'postern.yaml:1:43: routes[0].fastcgi.command[0]: there is no program DIR/cgi-bin; install it, or correct the path',
  ],
  [
    'routes: [{ path: /a, fastcgi: { command: [./notes.txt] } }]',
    'postern.yaml:1:43: routes[0].fastcgi.command[0]: DIR/notes.txt is not executable; chmod +x DIR/notes.txt',
  ],
  [
    'routes: [{ path: /a, fastcgi: { command: [tool] } }]',
    'postern.yaml:1:43: routes[0].fastcgi.command[0]: there is no program "tool" on PATH; install it, or write its absolute path without arguments',
  ],
  [
    withWorkers('directory: nowhere'),
    'postern.yaml:1:63: routes[0].fastcgi.directory: there is no folder DIR/nowhere; create it, or correct the path',
  ],
  [
    withWorkers('address: unix:/x'),
    'postern.yaml:1:52: routes[0].fastcgi.address: unknown key; the keys here are command, directory, workers, recycle, ready, stuck',
  ],
])

refuses('numbers and times of workers', [
  [
    withWorkers('workers: 0'),
    'postern.yaml:1:61: routes[0].fastcgi.workers: expected an integer from 1 to 1024, got 0; write for example 4',
  ],
  [
    withWorkers('workers: 1025'),
    'postern.yaml:1:61: routes[0].fastcgi.workers: expected an integer from 1 to 1024, got 1025; write for example 4',
  ],
  [
    withWorkers('workers: many'),
    'postern.yaml:1:61: routes[0].fastcgi.workers: expected a number of workers, or a map with min and max, got "many"; write for example 4',
  ],
  [
    withWorkers('workers: { min: 1 }'),
    'postern.yaml:1:61: routes[0].fastcgi.workers.max: expected an integer from 1 to 1024, got nothing; write for example 8',
  ],
  [
    withWorkers('workers: { min: 5, max: 4 }'),
    'postern.yaml:1:68: routes[0].fastcgi.workers.min: min is 5, more than max, which is 4; write at most 4, or raise max',
  ],
  [
    withWorkers('workers: { spare: 5, max: 4 }'),
    'postern.yaml:1:70: routes[0].fastcgi.workers.spare: spare is 5, more than max, which is 4; write at most 4, or raise max',
  ],
  [
    withWorkers('workers: { max: 4, idle: 0 }'),
    'postern.yaml:1:77: routes[0].fastcgi.workers.idle: expected a duration above 0, got 0; write for example 500ms, 30s, or 5m',
  ],
  [
    withWorkers('ready: 0'),
    'postern.yaml:1:59: routes[0].fastcgi.ready: expected a duration above 0, got 0; write for example 500ms, 30s, or 5m',
  ],
  [
    withWorkers('recycle: { requests: -1 }'),
    'postern.yaml:1:73: routes[0].fastcgi.recycle.requests: expected an integer >= 0, got -1; write for example 10000',
  ],
  [
    withWorkers('recycle: { age: 3 }'),
    `postern.yaml:1:68: routes[0].fastcgi.recycle.age: expected a duration, got 3; ${durations}`,
  ],
  [
    withWorkers('recycle: { memory: 1GB }'),
    'postern.yaml:1:71: routes[0].fastcgi.recycle.memory: expected a size, got "1GB"; write for example 64KiB, 1MiB, 1GiB, or a number of bytes',
  ],
  [
    withWorkers('stuck: { signal: SIGKILL }'),
    'postern.yaml:1:69: routes[0].fastcgi.stuck.signal: expected SIGUSR1 or SIGUSR2 or SIGQUIT or SIGABRT or SIGINT or SIGHUP or SIGTERM, got "SIGKILL"; write for example SIGUSR1',
  ],
  [
    withWorkers('stuck: { dump: 1s }'),
    'postern.yaml:1:59: routes[0].fastcgi.stuck.signal: expected SIGUSR1 or SIGUSR2 or SIGQUIT or SIGABRT or SIGINT or SIGHUP or SIGTERM, got nothing; write for example SIGUSR1',
  ],
])
