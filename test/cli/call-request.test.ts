/** The words of `postern call` → flags and variables, or the message. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readCallFlags } from '../../src/cli/call-flags.js'
import { callVariables } from '../../src/cli/call-request.js'
import { serverSoftware } from '../../src/version.js'
import { tempRoot } from '../support/temp-root.js'

t.test('what is refused', async t => {
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
      ['h:1', '/', '--protocol', 'http'],
      '--protocol: expected fastcgi, scgi or uwsgi, got "http"; write for example --protocol scgi',
    ],
    [
      ['h:1', '/', '--protocol', 'uwsgi', '--modifier1', '256'],
      '--modifier1: expected a number from 0 to 255, got "256"; write for example --modifier1 5',
    ],
    [
      ['h:1', '/', '--protocol', 'scgi', '--modifier1', '5'],
      '--modifier1: scgi has no such thing; add --protocol uwsgi',
    ],
    [
      ['h:1', '/', '--protocol', 'scgi', '--role', 'responder'],
      '--role: scgi has no such thing; add --protocol fastcgi',
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
