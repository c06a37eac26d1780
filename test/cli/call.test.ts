/** `postern call` from outside, against a listener that answers by hand. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
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
    [
      'an end without an answer',
      end(1, 7),
      /ended the request without an answer\. .* 7\. See its stderr/,
    ],
    ['no head', answered('hello, world'), /\. Print /],
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
