/** `postern call` from outside, against a listener that answers by hand; its flags and variables from within. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { readCallFlags } from '../../src/cli/call-flags.js'
import { callVariables } from '../../src/cli/call-request.js'
import { serverSoftware } from '../../src/version.js'
import { listenForBytes } from '../support/byte-listener.js'
import * as by from '../support/fastcgi-bytes.js'
import { end, record, stream } from '../support/fastcgi-bytes.js'
import { tempRoot } from '../support/temp-root.js'
import { postern, runPostern } from './command.js'

const stdinEnd = record(by.STDIN, 1)
const page = 'Content-Type: text/plain\r\nStatus: 404 Not Here\r\n\r\nnot here\n'

/** A worker that answers every request with these bytes, once it has come whole. */
function worker(t: Test, answer: Buffer): Promise<string> {
  return listenForBytes(t, peer => {
    peer.receivedEnd(stdinEnd).then(() => peer.socket.end(answer))
  })
}

const answered = (output: string) => Buffer.concat([stream(by.STDOUT, 1, output), end(1)])

t.test('the body goes to stdout, stderr to stderr, and the status is nobody’s failure', async t => {
  const path = await worker(t, Buffer.concat([record(by.STDERR, 1, 'careful\n'), answered(page)]))
  t.same(await runPostern(t, '/', ['call', `unix:${path}`, '/x']), {
    code: 0,
    signal: null,
    stdout: 'not here\n',
    stderr: 'careful\n',
  })
})

t.test('-i prints the head as it came; --fail makes 404 an exit code of 22', async t => {
  const path = await worker(t, answered(page))
  t.match(await runPostern(t, '/', ['call', `unix:${path}`, '/x', '-i', '--fail']), {
    code: 22,
    stdout: page,
    stderr: '',
  })
})

t.test('--fail is content with 200', async t => {
  const path = await worker(t, answered('Content-Type: text/plain\n\nok'))
  t.match(await runPostern(t, '/', ['call', `unix:${path}`, '/x', '-f']), { code: 0, stdout: 'ok' })
})

t.test('G-5, G-6: an answer in many records, with padding and stderr between', async t => {
  const pieces = [...page].flatMap(each => [
    record(by.STDOUT, 1, each, 5),
    record(by.STDERR, 1, '', 1),
  ])
  const path = await worker(t, Buffer.concat([...pieces, record(by.STDOUT, 1), end(1)]))
  t.match(await runPostern(t, '/', ['call', `unix:${path}`, '/x']), {
    code: 0,
    stdout: 'not here\n',
  })
})

t.test('E-23: an informational head is not the head', async t => {
  const path = await worker(t, answered('Status: 103\nLink: </x>\n\nStatus: 500\n\nbody'))
  t.match(await runPostern(t, '/', ['call', `unix:${path}`, '/x', '-f']), {
    code: 22,
    stdout: 'body',
  })
})

t.test('--trace prints every record on stderr', async t => {
  const path = await worker(t, answered(page))
  const { stderr, stdout } = await runPostern(t, '/', [
    'call',
    `unix:${path}`,
    '/x?y=1',
    '-d',
    'a=b',
    '--trace',
  ])
  t.equal(stdout, 'not here\n')
  const lines = stderr.split('\n')
  t.equal(lines[0], '> 1 BEGIN_REQUEST responder')
  t.match(lines[1], /^> 1 PARAMS \d+ bytes: .* REQUEST_METHOD=POST .* QUERY_STRING=y=1 /)
  t.same(lines.slice(2), [
    '> 1 PARAMS end',
    '> 1 STDIN 3 bytes: a=b',
    '> 1 STDIN end',
    '< 1 STDOUT 59 bytes: Content-Type: text/plain\\x0d\\x0aStatus: 404 Not Here\\x0d\\x0a\\x0d\\x0anot here\\x0a',
    '< 1 STDOUT end',
    '< 1 END_REQUEST app 0 complete',
    '= closed',
    '',
  ])
})

t.test('a body from a file and from standard input', async t => {
  const body = 'line\n'.repeat(40_000)
  const { path: folder } = tempRoot(t)
  writeFileSync(join(folder, 'body'), body)
  const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
  for (const data of ['@body', '-']) {
    let sent = ''
    const path = await listenForBytes(t, peer => {
      peer.receivedEnd(stdinEnd).then(all => {
        sent = String(all)
        peer.socket.end(answered(page))
      })
    })
    const child = spawn(
      process.execPath,
      [`--import=${import.meta.resolve('tsx')}`, main, 'call', `unix:${path}`, '/', '-d', data],
      { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] },
    )
    t.teardown(() => child.kill('SIGKILL'))
    child.stdin.on('error', () => {})
    child.stdin.end(body)
    t.equal(await text(child.stdout), 'not here\n')
    t.equal(
      sent.split('line\n').length - 1 >= 39_990,
      true,
      `${data}: the body, cut by some headers`,
    )
    t.ok(sent.includes('CONTENT_LENGTH200000'), `${data}: its length`)
  }
})

t.test('no answer: one line with cause and remedy, exit code 1', async t => {
  for (const [name, bytes, line] of [
    [
      'nothing',
      Buffer.alloc(0),
      /closed the connection before it had answered\. .* See its own log/,
    ],
    [
      'another protocol',
      Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
      /broke the protocol\. .* Check that it speaks the protocol/,
    ],
    ['overloaded', end(1, 0, 2), /says that it is overloaded\. Try again/],
    ['unknown role', end(1, 0, 3), /does not serve requests of this role\./],
    ['cannot multiplex', end(1, 0, 1), /broke the protocol\./],
    [
      'an end without an answer',
      end(1, 7),
      /ended the request without an answer\. .* 7\. See its stderr/,
    ],
    ['no head', answered('hello, world'), /\. Print /],
    [
      'a line that is no header',
      answered('hello\n\n'),
      /not a CGI header\. .*\. Print headers first/,
    ],
  ] as const) {
    const path = await worker(t, bytes)
    const { code, stdout, stderr } = await runPostern(t, '/', ['call', `unix:${path}`, '/'])
    t.match(stderr, line, name)
    t.match(stderr, /^postern: call: [^\n]+\n$/, `${name}: one line`)
    t.match({ code, stdout }, { code: 1, stdout: '' }, name)
  }
  const { code, stderr } = await runPostern(t, '/', ['call', 'unix:/nowhere/x.sock', '/'])
  t.equal(code, 1)
  t.match(stderr, /cannot be reached\. unix:\/nowhere\/x\.sock: ENOENT\. Start it/)
})

t.test('--timeout', async t => {
  const path = await listenForBytes(t, () => {})
  const { code, stderr } = await runPostern(t, '/', [
    'call',
    `unix:${path}`,
    '/',
    '--timeout',
    '100ms',
  ])
  t.equal(code, 1)
  t.match(stderr, /took longer than allowed\. After 100 ms\./)
})

t.test('an answer that is fine with an exit status that is not', async t => {
  const path = await worker(t, Buffer.concat([stream(by.STDOUT, 1, page), end(1, 3)]))
  t.match(await runPostern(t, '/', ['call', `unix:${path}`, '/']), {
    code: 0,
    stdout: 'not here\n',
    stderr: 'postern: call: the program ended with status 3\n',
  })
})

t.test('a reader that has enough is no failure, and the connection is closed', async t => {
  const piece = record(by.STDOUT, 1, Buffer.alloc(65_535, 'x'))
  let closed: Promise<void> | undefined
  const path = await listenForBytes(t, peer => {
    closed = peer.closed()
    const write = (): void => {
      while (peer.socket.writable && peer.socket.write(piece)) {}
    }
    peer.socket.write(record(by.STDOUT, 1, 'Content-Type: text/plain\n\n'))
    peer.socket.on('drain', write)
    write()
  })
  const command = postern(t, '/', ['call', `unix:${path}`, '/'])
  await command.printed(/x/)
  command.closeStdout()
  t.match(await command.ended, { code: 0, stderr: '' })
  await closed
})

t.test('mistakes are one line and exit code 2', async t => {
  t.match(await runPostern(t, '/', ['call', 'unix:/x', '/', '--tracee']), {
    code: 2,
    stdout: '',
    stderr: 'postern: --tracee: unknown flag; did you mean --trace?\n',
  })
  for (const [words, message] of [
    [
      [],
      'call: expected an address, got nothing; write for example postern call unix:/run/app.sock /',
    ],
    [
      ['9000', '/'],
      'call: expected an address, got "9000"; write for example postern call unix:/run/app.sock /',
    ],
    [
      ['h:1'],
      'call: expected a path that begins with /, got nothing; write for example postern call 127.0.0.1:9000 /',
    ],
    [
      ['h:1', 'x'],
      'call: expected a path that begins with /, got "x"; write for example postern call 127.0.0.1:9000 /',
    ],
    [['h:1', '/', '/y'], '/y: one path at a time; see postern call --help'],
    [
      ['h:1', '/', '-X', 'GET /'],
      '--request: expected a method, got "GET /"; write for example -X DELETE',
    ],
    [
      ['h:1', '/', '-H', 'Accept'],
      '--header: expected "Name: value", got "Accept"; write for example -H "Accept: text/html"',
    ],
    [
      ['h:1', '/', '-H', 'A b: c'],
      '--header: expected "Name: value", got "A b: c"; write for example -H "Accept: text/html"',
    ],
    [
      ['h:1', '/', '--env', 'A'],
      '--env: expected NAME=value, got "A"; write for example --env HTTPS=on',
    ],
    [
      ['h:1', '/', '--env', '=x'],
      '--env: expected NAME=value, got "=x"; write for example --env HTTPS=on',
    ],
    [
      ['h:1', '/', '--role', 'filter'],
      '--role: expected responder or authorizer, got "filter"; write for example --role authorizer',
    ],
    [
      ['h:1', '/', '--timeout', '3'],
      '--timeout: expected a duration, got "3"; write for example --timeout 500ms, or 0 for none',
    ],
    [
      ['h:1', '/', '--timeout', '1s', '--timeout', '2s'],
      '--timeout: given more than once; give it once',
    ],
    [['h:1', '/', '-Z'], '-Z: unknown flag; see postern call --help'],
    [['h:1', '/', '-X'], 'call: Not enough arguments following: X; see postern call --help'],
  ] as const) {
    t.throws(() => readCallFlags(words, '1.2.3'), { name: 'ConfigError', message }, words.join(' '))
  }
})

t.test('what a server would refuse is a mistake here', async t => {
  for (const [words, message] of [
    [['/a/../../b'], /^call: The path climbs above the root;/],
    [['/%00'], /^call: The path holds a NUL byte;/],
    [['/%zz'], /^call: The request target is not a valid path/],
    [['/', '-H', 'Host: a b'], /^call: A header field is repeated, malformed or ambiguous/],
  ] as const) {
    t.throws(() => variables(words), { name: 'ConfigError', message }, words.join(' '))
  }
})

t.test('--help', async t => {
  const { code, stdout, stderr } = await runPostern(t, '/', ['call', '--help'])
  t.match({ code, stderr }, { code: 0, stderr: '' })
  for (const word of [
    'ADDRESS /path',
    '-X, --request',
    '-d, --data',
    '-H, --header',
    '--env',
    '--root',
    '--script',
    '--role',
    '-i, --include',
    '--trace',
    '-f, --fail',
    '--timeout',
    'unix:/path/to.sock',
    'Exit code: 0',
  ]) {
    t.match(stdout, word)
  }
})

/** The variables that these words make, for the address h:1. */
function variables(words: readonly string[], length?: number): Record<string, string> {
  const flags = readCallFlags(['h:1', ...words], '1.2.3')
  if (flags === undefined) throw new Error('help was printed')
  return Object.fromEntries(callVariables(flags, length))
}

t.test('B: variables without a script are those of a program that has the whole site', async t => {
  const made = variables(['/a%20b/\u00fc?x=%20y'])
  const { REQUEST_ID: id, HTTP_X_REQUEST_ID: sameId, ...rest } = made
  t.equal(id, sameId)
  t.same(rest, {
    GATEWAY_INTERFACE: 'CGI/1.1',
    SERVER_SOFTWARE: serverSoftware,
    SERVER_NAME: 'localhost',
    SERVER_ADDR: '127.0.0.1',
    SERVER_PORT: '80',
    SERVER_PROTOCOL: 'HTTP/1.1',
    REQUEST_SCHEME: 'http',
    REMOTE_ADDR: '127.0.0.1',
    REMOTE_HOST: '127.0.0.1',
    REQUEST_METHOD: 'GET',
    REQUEST_URI: '/a%20b/\xc3\xbc?x=%20y',
    QUERY_STRING: 'x=%20y',
    SCRIPT_NAME: '',
    DOCUMENT_URI: '/a b/\xc3\xbc',
    PATH_INFO: '/a b/\xc3\xbc',
    DOCUMENT_ROOT: process.cwd(),
    PATH_TRANSLATED: `${process.cwd()}/a b/\xc3\xbc`,
    REDIRECT_STATUS: '200',
    HTTP_HOST: 'localhost',
    HTTP_USER_AGENT: serverSoftware,
    HTTP_ACCEPT: '*/*',
    FCGI_ROLE: 'RESPONDER',
  })
})

t.test('headers, methods, bodies; --env wins', async t => {
  const made = variables(
    [
      '/',
      '-d',
      'a=b',
      '-H',
      'Host: example.test:81',
      '-H',
      'Cookie: a=1',
      '-H',
      'Cookie: b=2',
      '-H',
      'X-Y:',
      '-H',
      'Authorization: Basic x',
      '--env',
      'SERVER_NAME=other',
      '--env',
      'NEW=a=b',
      '--env',
      'EMPTY=',
    ],
    3,
  )
  t.match(made, {
    REQUEST_METHOD: 'POST',
    CONTENT_LENGTH: '3',
    CONTENT_TYPE: 'application/x-www-form-urlencoded',
    HTTP_HOST: 'example.test:81',
    HTTP_COOKIE: 'a=1; b=2',
    HTTP_X_Y: '',
    HTTP_AUTHORIZATION: 'Basic x',
    SERVER_NAME: 'other',
    NEW: 'a=b',
    EMPTY: '',
  })
  t.match(variables(['/', '-d', '{}', '-X', 'PUT', '-H', 'content-type: application/json'], 2), {
    REQUEST_METHOD: 'PUT',
    CONTENT_TYPE: 'application/json',
  })
})

t.test('--script and --root', async t => {
  const { path } = tempRoot(t)
  writeFileSync(join(path, 'public/index.php'), '')
  const script = variables(['/any/where', '--script', join(path, 'x.php')])
  t.match(script, {
    SCRIPT_NAME: '/any/where',
    SCRIPT_FILENAME: join(path, 'x.php'),
    DOCUMENT_ROOT: path,
  })
  t.equal(script.PATH_INFO, undefined)
  const root = ['--root', join(path, 'public')]
  t.match(variables(['/index.php?a', ...root]), {
    SCRIPT_NAME: '/index.php',
    SCRIPT_FILENAME: join(path, 'public/index.php'),
    DOCUMENT_ROOT: join(path, 'public'),
    PATH_INFO: undefined,
  })
  t.match(variables(['/index.php/more/x', ...root]), {
    SCRIPT_NAME: '/index.php',
    PATH_INFO: '/more/x',
    PATH_TRANSLATED: join(path, 'public/more/x'),
  })
  t.match(variables(['/none', ...root]), {
    SCRIPT_NAME: '',
    PATH_INFO: '/none',
    SCRIPT_FILENAME: undefined,
  })
})

t.test('G-22: an authorizer is not told of a page', async t => {
  const made = variables(['/x', '--role', 'authorizer', '-d', 'a'], 1)
  t.equal(made.FCGI_ROLE, 'AUTHORIZER')
  for (const name of ['CONTENT_LENGTH', 'PATH_INFO', 'PATH_TRANSLATED', 'SCRIPT_NAME']) {
    t.equal(made[name], undefined, name)
  }
})
