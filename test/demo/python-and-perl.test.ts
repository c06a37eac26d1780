/**
 * The demo programs that need python3 or perl: skipped by name where those are missing, which is a
 * failure under REQUIRE_PEERS=1.
 */
import { createHash, randomBytes } from 'node:crypto'
import t from 'tap'
import { startDemo } from '../support/demo.js'
import { peer } from '../support/peers.js'
import { requestBytes } from '../support/raw-http.js'

for (const [name, language] of [
  ['hello.py', 'python3'],
  ['hello.pl', 'perl'],
] as const) {
  t.test(`${name} greets by name, escaped`, async t => {
    if (peer(t, language) === undefined) return
    const server = await startDemo(t)
    const hello = async (query: string): Promise<string> =>
      (await server.request(`/cgi-bin/${name}${query}`)).body.toString()
    t.match(await hello(''), '<h1>Hello, stranger</h1>')
    t.match(await hello('?x=1&name=Ada+L%C3%B6we'), '<h1>Hello, Ada Löwe</h1>')
    t.match(await hello('?name=%3Cscript%3E%26%22'), '<h1>Hello, &lt;script&gt;&amp;&quot;</h1>')
  })
}

const boundary = '----WebKitFormBoundaryAbC123'
const type = `Content-Type: multipart/form-data; boundary=${boundary}`

function form(files: readonly (readonly [name: string, content: Buffer])[]): Buffer {
  const parts = files.flatMap(([name, content]) => [
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n` +
        'Content-Type: application/octet-stream\r\n\r\n',
    ),
    content,
    Buffer.from('\r\n'),
  ])
  return Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)])
}

t.test('upload.py reports name, size and SHA-256', async t => {
  if (peer(t, 'python3') === undefined) return
  const server = await startDemo(t)
  const target = '/cgi-bin/upload.py'
  const empty = await server.request(target)
  t.equal(empty.status, 200)
  t.match(empty.text(), '<form method="post" enctype="multipart/form-data">')
  t.notMatch(empty.text(), '<table>')

  const large = randomBytes(20 * 1024 * 1024)
  const small = Buffer.from('line\r\n--not-the-boundary\r\n\r\n\n')
  const connection = await server.connect()
  const body = form([
    ['größe <b>.bin', large],
    ['small.txt', small],
  ])
  connection.send(requestBytes(target, { method: 'POST', headers: [type], body }))
  const html = (await connection.response({}, 60_000)).body.toString()
  t.match(html, '<td>größe &lt;b&gt;.bin</td>')
  for (const content of [large, small]) {
    t.match(html, `<td>${content.length} bytes</td>`)
    t.match(html, `<td>${createHash('sha256').update(content).digest('hex')}</td>`)
  }

  const nothing = await server.request(target, { method: 'POST', headers: [type], body: form([]) })
  t.equal(nothing.status, 200, 'a form without a file')
  const odd = await server.request(target, { method: 'POST', body: 'x=1' })
  t.equal(odd.status, 200, 'something that is no form')
})
