/**
 * Programs that point elsewhere, send hints ahead, or speak HTTP themselves (conventions E-5 to E-11,
 * E-23, E-35, RFC 3875 §5 and §6.2).
 */
import t from 'tap'
import { untilGone } from '../support/processes.js'
import { plainHead, printing, program, shell } from '../support/programs.js'
import { startTestServer } from '../support/serve.js'

const plain = 'Content-Type: text/plain\n'

t.test('E-5 a local redirect', async t => {
  const scripts = {
    'go.cgi': shell('cat >/dev/null', `printf 'Location: /cgi-bin/there.cgi/p?x=1\\n\\n'`),
    'there.cgi': shell(
      plainHead,
      'echo "$REQUEST_METHOD $REQUEST_URI $PATH_INFO $QUERY_STRING $(env | grep -c ^CONTENT_LENGTH)"',
      'cat',
    ),
    'file.cgi': printing('Location: /page.txt\n\n'),
    'nowhere.cgi': printing('Location: /cgi-bin/none.cgi\n\n'),
    'climbing.cgi': printing('Location: /../../etc/passwd\n\n'),
  }
  const server = await startTestServer(t, { scripts, files: { 'page.txt': 'a static page' } })
  const go = await server.request('/cgi-bin/go.cgi', { method: 'POST', body: 'dropped' })
  t.equal(go.status, 200)
  t.equal(go.text(), 'GET /cgi-bin/there.cgi/p?x=1 /p x=1 0\n', 'as a GET, without the body')
  t.equal(go.header('location'), undefined)
  await server.recordOf('/cgi-bin/there.cgi')

  t.equal((await server.request('/cgi-bin/file.cgi')).text(), 'a static page')
  t.equal((await server.request('/cgi-bin/nowhere.cgi')).status, 404, 'the whole pipeline')
  t.equal((await server.request('/cgi-bin/climbing.cgi')).status, 400)
})

t.test('E-5 a body after a local Location makes it a client redirect; E-6 itself', async t => {
  const scripts = {
    'self.cgi': shell(`printf 'Location: %s\\n\\n' "$REQUEST_URI"`),
    'ping.cgi': shell('echo x >>"$NOTES/hops"', `printf 'Location: /cgi-bin/pong.cgi\\n\\n'`),
    'pong.cgi': shell('echo x >>"$NOTES/hops"', `printf 'Location: /cgi-bin/ping.cgi\\n\\n'`),
    'five.cgi': shell(
      'n=0',
      'if [ "$QUERY_STRING" ]; then n=$QUERY_STRING; fi',
      '[ "$n" -lt 5 ] && printf "Location: /cgi-bin/five.cgi?$((n + 1))\\n\\n" && exit',
      plainHead,
      'echo "arrived $n"',
    ),
    'late.cgi': shell(`printf 'Location: /cgi-bin/five.cgi\\n\\n'`, 'sleep 0.1', 'echo body'),
  }
  const server = await startTestServer(t, { scripts })
  const self = await server.request('/cgi-bin/self.cgi?a')
  t.equal(self.status, 302, 'E-6')
  t.equal(self.header('location'), '/cgi-bin/self.cgi?a')

  t.equal((await server.request('/cgi-bin/five.cgi')).text(), 'arrived 5\n', 'five hops')
  const loop = await server.request('/cgi-bin/ping.cgi')
  t.equal(loop.status, 500, 'E-5 at most five hops')
  await server.recordOf('REDIRECT_LOOP')
  const late = await server.request('/cgi-bin/late.cgi')
  t.equal(late.status, 302, 'E-8 a body, though late')
})

t.test('E-7 to E-11 client redirects', async t => {
  const rows: readonly (readonly [
    row: string,
    prints: string,
    status: number,
    location: string,
  ])[] = [
    ['E-7', 'Location: //evil.test/\n\n', 302, '//evil.test/'],
    ['E-8 with a Status', 'Status: 303\nLocation: /x\n\n', 303, '/x'],
    ['E-8 with another header', `${plain}Location: /x\n\n`, 302, '/x'],
    ['E-9', 'Location: http://a.test/\n\n', 302, 'http://a.test/'],
    ['E-10', `Location: http://a.test/\nStatus: 301\n${plain}\nmoved`, 301, 'http://a.test/'],
    ['E-11', 'Location: relative/x\n\n', 302, 'relative/x'],
  ]
  const scripts = Object.fromEntries(rows.map(([, prints], i) => [`${i}.cgi`, printing(prints)]))
  const server = await startTestServer(t, { scripts })
  for (const [i, [row, , status, location]] of rows.entries()) {
    const response = await server.request(`/cgi-bin/${i}.cgi`)
    t.equal(response.status, status, row)
    t.equal(response.header('location'), location, row)
    if (row === 'E-10') t.equal(response.text(), 'moved', 'E-10 with its body')
  }
})

t.test('E-23 103 Early Hints', async t => {
  const scripts = {
    'a.cgi': shell(
      `printf 'Status: 103\\nLink: </style.css>; rel=preload\\n\\n'`,
      'until [ -e "$NOTES/go" ]; do sleep 0.02; done',
      plainHead,
      'printf done',
    ),
  }
  const server = await startTestServer(t, { scripts })
  const connection = await server.connect()
  connection.request('/cgi-bin/a.cgi')
  const hint = await connection.next()
  t.equal(hint.status, 103, 'sent before the program goes on')
  t.equal(hint.header('link'), '</style.css>; rel=preload')
  server.root.leave('go')
  const final = await connection.response()
  t.equal(final.status, 200)
  t.equal(final.text(), 'done')

  const old = await server.connect()
  old.send('GET /cgi-bin/a.cgi HTTP/1.0\r\n\r\n')
  t.equal((await old.next()).status, 200, 'never to HTTP/1.0')
})

t.test('E-35 nph: the program speaks HTTP', async t => {
  const head = 'HTTP/1.1 404 Not Here\r\nContent-Type: text/plain\r\n'
  const scripts = {
    'nph-a.cgi': printing(`${head}X-A: 1\r\n\r\nbody`),
    'nph-framed.cgi': printing(`${head}Connection: keep-alive\r\nContent-Length: 4\r\n\r\nbody`),
    'nph-old.cgi': printing('HTTP/1.0 200 OK\nContent-Type: text/plain\n\nold'),
    'nph-bad.cgi': printing('hello\n\n'),
    'not-nph.cgi': printing(`${head}\r\nbody`),
  }
  const server = await startTestServer(t, { scripts })
  const connection = await server.connect()
  connection.request('/cgi-bin/nph-a.cgi')
  const response = await connection.response()
  t.equal(response.status, 404)
  t.equal(response.reason, 'Not Here')
  t.equal(response.header('x-a'), '1')
  t.equal(response.header('connection'), 'close')
  t.equal(response.text(), 'body')
  t.equal(response.truncated, false)
  t.equal((await connection.rest()).bytes.length, 0, 'closed')

  const framed = await server.request('/cgi-bin/nph-framed.cgi')
  t.equal(framed.text(), 'body')
  t.equal(framed.header('connection'), 'close')
  t.equal((await server.request('/cgi-bin/nph-old.cgi')).text(), 'old')
  t.equal((await server.request('/cgi-bin/nph-bad.cgi')).status, 500)
  t.equal((await server.request('/cgi-bin/not-nph.cgi')).status, 500, 'only by its name')
})

t.test('a redirect to a program that hangs is stopped with its client', async t => {
  const scripts = {
    'go.cgi': printing('Location: /cgi-bin/hang.cgi\n\n'),
    'hang.cgi': program('hang.sh'),
  }
  const server = await startTestServer(t, { scripts })
  const connection = await server.connect()
  connection.request('/cgi-bin/go.cgi')
  const pid = Number(await server.root.note('pid'))
  connection.destroy()
  await untilGone(pid)
})
