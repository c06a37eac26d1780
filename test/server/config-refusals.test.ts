/**
 * Every rule of the configuration, broken once: the whole line that the user reads, with its place.
 *
 * `DIR` stands for the folder of the configuration.
 */
import t from 'tap'
import { configFolder } from './config-support.js'

/** Text → message. */
type Table = readonly (readonly [text: string, message: string])[]

function refuses(name: string, table: Table, format: 'yaml' | 'json' = 'yaml'): void {
  t.test(name, async t => {
    const { refusal } = configFolder(t)
    for (const [text, message] of table) t.equal(refusal(text, format), message, text)
  })
}

/** A route on one line with these further keys; they begin at column 42. */
const withRoute = (keys: string): string => `routes: [{ path: /cgi-bin, cgi: cgi-bin, ${keys} }]`

const durations = 'write for example 500ms, 30s, 5m, 1h, or 0 for none'
const sizes = 'write for example 64KiB, 1MiB, 1GiB, or a number of bytes'
const addresses = 'write for example 127.0.0.1:8000, [::1]:8000, 8000, or unix:/run/postern.sock'

refuses('unknown keys, at the key', [
  ['listn: 8000', 'postern.yaml:1:1: listn: unknown key; did you mean listen?'],
  ['root: public\nindx: 1', 'postern.yaml:2:1: indx: unknown key; did you mean index?'],
  [
    'log:\n  format: json',
    'postern.yaml:2:3: log.format: unknown key; the keys here are access, level',
  ],
  [
    withRoute('proceses: 3'),
    'postern.yaml:1:42: routes[0].proceses: unknown key; did you mean processes?',
  ],
  [
    'routes:\n  - path: /a\n    cgi: cgi-bin\n    queue:\n      lenght: 3',
    'postern.yaml:5:7: routes[0].queue.lenght: unknown key; did you mean length?',
  ],
  [
    withRoute('timeouts: { connect: 1s }'),
    'postern.yaml:1:54: routes[0].timeouts.connect: unknown key; the keys here are firstByte, idle, total, grace',
  ],
])

refuses('what is no map, list or scalar of its kind', [
  ['- a', 'postern.yaml:1:1: expected a map, got ["a"]; write for example listen: 127.0.0.1:8000'],
  [
    'env: 3',
    'postern.yaml:1:6: env: expected a map, got 3; write for example { set: { LANG: C.UTF-8 }, pass: [TZ] }',
  ],
  [
    'log:',
    'postern.yaml:1:1: log: expected a map, got nothing; write for example { access: combined, level: info }',
  ],
  [
    'routes: 3',
    'postern.yaml:1:9: routes: expected a list of routes, got 3; write for example [{ path: /cgi-bin/, cgi: cgi-bin/ }]',
  ],
  [
    'routes: [3]',
    'postern.yaml:1:10: routes[0]: expected a map, got 3; write for example { path: /cgi-bin/, cgi: cgi-bin/ }',
  ],
  ['dev: yes', 'postern.yaml:1:6: dev: expected true or false, got "yes"; write for example true'],
  [
    'index: []\nroot: 3',
    'postern.yaml:2:7: root: expected a folder, got 3; write for example public',
  ],
  [
    'log: { access: common }',
    'postern.yaml:1:16: log.access: expected combined or json or off, got "common"; write for example combined',
  ],
  [
    withRoute('methods: []'),
    'postern.yaml:1:51: routes[0].methods: expected a list of methods, got []; write for example [GET, HEAD, POST]',
  ],
  [
    withRoute('methods: [GET, "A B"]'),
    'postern.yaml:1:57: routes[0].methods[1]: expected a method, got "A B"; write for example GET',
  ],
  [
    withRoute('index: [a/b]'),
    'postern.yaml:1:50: routes[0].index[0]: expected a file name without a slash, got "a/b"; write for example index.html',
  ],
])

refuses('numbers', [
  [
    'processes: 0',
    'postern.yaml:1:12: processes: expected an integer from 1 to 256, got 0; write for example 2',
  ],
  [
    'processes: 257',
    'postern.yaml:1:12: processes: expected an integer from 1 to 256, got 257; write for example 2',
  ],
  [
    'routes:\n  - path: /a\n    cgi: cgi-bin\n  - path: /b\n    cgi: cgi-bin\n    queue:\n      length: two',
    'postern.yaml:7:15: routes[1].queue.length: expected an integer >= 0, got "two"; write for example 256',
  ],
  [
    withRoute('processes: 1.5'),
    'postern.yaml:1:53: routes[0].processes: expected an integer >= 1, got 1.5; write for example 64',
  ],
  [
    withRoute('queue: { length: -1 }'),
    'postern.yaml:1:59: routes[0].queue.length: expected an integer >= 0, got -1; write for example 256',
  ],
])

refuses('durations', [
  [
    'timeouts: { head: 30 }',
    `postern.yaml:1:19: timeouts.head: expected a duration, got 30; ${durations}`,
  ],
  [
    'timeouts: { head: 30sec }',
    `postern.yaml:1:19: timeouts.head: expected a duration, got "30sec"; ${durations}`,
  ],
  [
    'timeouts: { head: -1s }',
    `postern.yaml:1:19: timeouts.head: expected a duration, got "-1s"; ${durations}`,
  ],
  [
    'timeouts: { head: 597h }',
    `postern.yaml:1:19: timeouts.head: expected a duration, got "597h"; ${durations}`,
  ],
  [
    'timeouts: { head: [1s] }',
    `postern.yaml:1:19: timeouts.head: expected a duration, got ["1s"]; ${durations}`,
  ],
  [
    withRoute('timeouts: { idle: soon }'),
    `postern.yaml:1:60: routes[0].timeouts.idle: expected a duration, got "soon"; ${durations}`,
  ],
])

refuses('sizes', [
  ['limits: { body: 1MB }', `postern.yaml:1:17: limits.body: expected a size, got "1MB"; ${sizes}`],
  ['limits: { body: -1 }', `postern.yaml:1:17: limits.body: expected a size, got -1; ${sizes}`],
  ['limits: { body: 1.5 }', `postern.yaml:1:17: limits.body: expected a size, got 1.5; ${sizes}`],
  [
    'limits: { body: 9999999GiB }',
    `postern.yaml:1:17: limits.body: expected a size, got "9999999GiB"; ${sizes}`,
  ],
  [
    'limits: { head: 0 }',
    'postern.yaml:1:17: limits.head: expected a size above 0, got 0; write for example 64KiB, 1MiB, or a number of bytes',
  ],
])

refuses('addresses to listen on', [
  [
    'listen: localhost',
    `postern.yaml:1:9: listen: expected an address to listen on, got "localhost"; ${addresses}`,
  ],
  [
    'listen: ::1:8000',
    `postern.yaml:1:9: listen: expected an address to listen on, got "::1:8000"; ${addresses}`,
  ],
  [
    'listen: 127.0.0.1:65536',
    `postern.yaml:1:9: listen: expected an address to listen on, got "127.0.0.1:65536"; ${addresses}`,
  ],
  [
    'listen: [8000, "a b:1"]',
    `postern.yaml:1:16: listen[1]: expected an address to listen on, got "a b:1"; ${addresses}`,
  ],
  [
    'listen: []',
    'postern.yaml:1:9: listen: expected an address or a list of them, got []; write for example 127.0.0.1:8000',
  ],
  [
    'listen: [8000, 127.0.0.1:8000]',
    'postern.yaml:1:16: listen[1]: 127.0.0.1:8000 is there already; remove one of the two',
  ],
  [
    `listen: unix:/${'x'.repeat(107)}`,
    `postern.yaml:1:9: listen: the path of a socket has at most 107 bytes, /${'x'.repeat(107)} is longer; write a shorter one, for example unix:/run/postern.sock`,
  ],
  [
    'serverName: example.test:80',
    'postern.yaml:1:13: serverName: expected a host name without a port, got "example.test:80"; write for example example.test',
  ],
])

refuses('paths of routes', [
  [
    'routes: [{ path: x, cgi: cgi-bin }]',
    'postern.yaml:1:18: routes[0].path: expected a path that begins with /, got "x"; write for example /cgi-bin/',
  ],
  [
    'routes: [{ cgi: cgi-bin }]',
    'postern.yaml:1:10: routes[0].path: expected a path that begins with /, got nothing; write for example /cgi-bin/',
  ],
  [
    'routes: [{ path: /a/../b, cgi: cgi-bin }]',
    'postern.yaml:1:18: routes[0].path: expected a path without empty, . and .. segments, got "/a/../b"; write for example /cgi-bin/',
  ],
  [
    'routes: [{ path: //a, cgi: cgi-bin }]',
    'postern.yaml:1:18: routes[0].path: expected a path without empty, . and .. segments, got "//a"; write for example /cgi-bin/',
  ],
  [
    'routes: [{ path: /a%20b, cgi: cgi-bin }]',
    'postern.yaml:1:18: routes[0].path: expected a path without ?, # and %, got "/a%20b"; write the path decoded and without a query',
  ],
  [
    'routes:\n  - { path: /x, cgi: cgi-bin }\n  - { path: /x/, cgi: cgi-bin }',
    'postern.yaml:3:13: routes[1].path: "/x/" is the path of routes[0] already; remove one of the two, or give it another path',
  ],
])

refuses('what is not on the disk', [
  [
    'root: nowhere',
    'postern.yaml:1:7: root: there is no folder DIR/nowhere; create it, or correct the path',
  ],
  [
    'root: notes.txt',
    'postern.yaml:1:7: root: DIR/notes.txt is not a folder; create it, or correct the path',
  ],
  [
    'routes:\n  - path: /x\n    cgi: nowhere/',
    'postern.yaml:3:10: routes[0].cgi: there is no folder or program DIR/nowhere; create it, or correct the path',
  ],
  [
    'routes:\n  - path: /x\n    cgi: notes.txt',
    'postern.yaml:3:10: routes[0].cgi: DIR/notes.txt is not executable; chmod +x DIR/notes.txt',
  ],
  [
    withRoute('cwd: nowhere'),
    'postern.yaml:1:47: routes[0].cwd: there is no folder DIR/nowhere; create it, or correct the path',
  ],
  [
    withRoute('sendfile: [files, nowhere]'),
    'postern.yaml:1:60: routes[0].sendfile[1]: there is no folder DIR/nowhere; create it, or correct the path',
  ],
  [
    withRoute('interpreters: { .py: python9 }'),
    'postern.yaml:1:63: routes[0].interpreters[".py"]: there is no program "python9" on PATH; install it, or write its absolute path without arguments',
  ],
  [
    withRoute('interpreters: { .py: ./notes.txt }'),
    'postern.yaml:1:63: routes[0].interpreters[".py"]: there is no program DIR/notes.txt; install it, or correct the path',
  ],
  [
    withRoute('interpreters: { py: tool }'),
    'postern.yaml:1:58: routes[0].interpreters.py: expected a suffix that begins with a dot, got "py"; write for example .py: python3',
  ],
])

refuses('variables that no environment can hold (B-2, B-4)', [
  [
    'env: { set: { A: "a\\nb" } }',
    'postern.yaml:1:18: env.set.A: expected text without NUL, CR and LF, got "a\\nb"; write it on one line; a block text (|) ends in a line feed, |- does not',
  ],
  [
    withRoute('env: { set: { A: "a\\0b" } }'),
    'postern.yaml:1:59: routes[0].env.set.A: expected text without NUL, CR and LF, got "a\\u0000b"; write it on one line; a block text (|) ends in a line feed, |- does not',
  ],
  [
    'env: { set: { a-b: 1, A_B: 2 } }',
    'postern.yaml:1:23: env.set.A_B: becomes A_B, which is set already; remove one of them',
  ],
  [
    'env: { set: { A: [1] } }',
    'postern.yaml:1:18: env.set.A: expected text, got [1]; write for example "a value"',
  ],
  [
    'env: { pass: [A=B] }',
    'postern.yaml:1:15: env.pass[0]: expected a variable name, got "A=B"; write for example TZ',
  ],
])

refuses('kinds of routes', [
  [
    'routes:\n  - path: /x',
    'postern.yaml:2:5: routes[0]: the route does not say what answers; add one of cgi, fastcgi, scgi, uwsgi, wsgi, proxy; for example cgi: cgi-bin/',
  ],
  [
    'routes:\n  - path: /x\n    fastcgy: y',
    'postern.yaml:3:5: routes[0].fastcgy: unknown key; did you mean fastcgi?',
  ],
  [
    'routes:\n  - path: /x\n    cgi: cgi-bin\n    proxy: http://127.0.0.1:9000',
    'postern.yaml:4:5: routes[0].proxy: a route has one kind, and this one is cgi already; remove one of the two, or give proxy a route of its own',
  ],
])

refuses('H-3 a body without a length cannot be streamed where its length comes first', [
  [
    'routes: [{ path: /a, scgi: "h:1", requestBody: stream }]',
    'postern.yaml:1:48: routes[0].requestBody: SCGI tells the length of a body before it, so a body without one cannot be streamed; remove it: bodies with a length are streamed anyway',
  ],
  [
    'routes: [{ path: /a, uwsgi: "h:1", requestBody: stream }]',
    'postern.yaml:1:49: routes[0].requestBody: uwsgi tells the length of a body before it, so a body without one cannot be streamed; remove it: bodies with a length are streamed anyway',
  ],
])

refuses('their shape is checked first', [
  [
    'routes: [{ path: /a, fastcgi: { command: [./w], workers: many } }]',
    'postern.yaml:1:58: routes[0].fastcgi.workers: expected a number of workers, or a map with min and max, got "many"; write for example 4',
  ],
  [
    'routes: [{ path: /a, fastcgi: [app.sock] }]',
    'postern.yaml:1:32: routes[0].fastcgi[0]: expected an address, got "app.sock"; write for example unix:/run/app.sock, tcp:127.0.0.1:9000, or 127.0.0.1:9000',
  ],
  [
    'routes: [{ path: /a, fastcgi: true }]',
    'postern.yaml:1:31: routes[0].fastcgi: expected an address, a list of them, or a command, got true; write for example unix:/run/app.sock',
  ],
  [
    'routes: [{ path: /a, wsgi: app }]',
    'postern.yaml:1:28: routes[0].wsgi: expected module:callable, got "app"; write for example app:application',
  ],
  [
    'routes: [{ path: /a, proxy: ftp://x }]',
    'postern.yaml:1:29: routes[0].proxy: expected an http URL without a path (https is not spoken to servers behind), got "ftp://x"; write for example http://127.0.0.1:9000 or unix:/run/app.sock',
  ],
  [
    'routes: [{ path: /a, proxy: "https://x" }]',
    'postern.yaml:1:29: routes[0].proxy: expected an http URL without a path (https is not spoken to servers behind), got "https://x"; write for example http://127.0.0.1:9000 or unix:/run/app.sock',
  ],
  [
    'routes: [{ path: /a, proxy: "h:1", trusted: [10.0.0.0/8, localhost] }]',
    'postern.yaml:1:58: routes[0].trusted[1]: expected an address or a network, got "localhost"; write for example 127.0.0.1, 10.0.0.0/8 or unix:',
  ],
  [
    'routes: [{ path: /a, scgi: "h:1", capcity: 3 }]',
    'postern.yaml:1:35: routes[0].capcity: unknown key; did you mean capacity?',
  ],
])

refuses('text that is no YAML', [
  [
    'listen: [',
    'postern.yaml:1:10: Flow sequence in block collection must be sufficiently indented and end with a ]; correct the YAML here',
  ],
  ['root: a\nroot: b', 'postern.yaml:2:1: Map keys must be unique; correct the YAML here'],
  [
    'root: *r',
    'postern.yaml:1:7: *r is an alias without an anchor; put text that begins with * in quotes',
  ],
  ['root: !x a', 'postern.yaml:1:7: Unresolved tag: !x; correct the YAML here'],
  [
    'a: 1\n---\nb: 2',
    'postern.yaml:2:1: Source contains multiple documents; please use YAML.parseAllDocuments(); correct the YAML here',
  ],
])

refuses(
  'text that is no JSON',
  [
    [
      '{ "root": public }',
      'postern.yaml:1:11: Unresolved plain scalar "public"; correct the JSON here',
    ],
  ],
  'json',
)

refuses('the earliest mistake of a route is the one told', [
  [
    'routes:\n  - path: /a\n    cgi: cgi-bin\n    zzz: 1\n    processes: no\n    queue: 3',
    'postern.yaml:4:5: routes[0].zzz: unknown key; the keys here are cgi, path, env, passAuthorization, queue, limits, requestBody, encodedSlash, ambiguousHeaders, decodeChunked, methods, sendfile, authorize, interpreters, warm, index, preset, processes, timeouts, symlinks, plainOutput, cwd',
  ],
])

refuses('messages stay one line', [
  [
    '"a\\nb": 1',
    'postern.yaml:1:1: ["a\\nb"]: unknown key; the keys here are listen, root, index, serverName, processes, log, env, limits, timeouts, routes, dev',
  ],
])
