/**
 * Programs as they are in use: a CGI.pm form with an upload, and gitweb (conventions K, L-8, L-9).
 */
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { findOnPath, missing, peer } from '../support/peers.js'
import { program } from '../support/programs.js'
import { chunkBytes } from '../support/raw-http.js'
import { cgiRoute, startTestServer } from '../support/serve.js'
import { tempRoot } from '../support/temp-root.js'

const run = promisify(execFile)

async function hasCgiPm(t: Test): Promise<boolean> {
  const perl = peer(t, 'perl')
  if (perl === undefined) return false
  const found = await run(perl, ['-MCGI', '-MDigest::SHA', '-e', '1']).then(
    () => true,
    () => false,
  )
  if (!found) missing(t, 'CGI.pm')
  return found
}

const boundary = 'a-boundary-of-our-own'

function multipart(file: Buffer): Buffer {
  const part = (head: string): string =>
    `--${boundary}\r\nContent-Disposition: form-data; ${head}\r\n`
  return Buffer.concat([
    Buffer.from(`${part('name="colour"')}\r\nblue\r\n${part('name="colour"')}\r\ngrün\r\n`),
    Buffer.from(`${part('name="file"; filename="a b.bin"')}Content-Type: application/x\r\n\r\n`),
    file,
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ])
}

t.test('a CGI.pm form', async t => {
  if (!(await hasCgiPm(t))) return
  const server = await startTestServer(t, { scripts: { 'form.pl': program('form.pl') } })
  const target = '/cgi-bin/form.pl'

  const plain = await server.request(`${target}/p%20q?a=1;a=2&b=%C3%BC+x`, {
    headers: ['Cookie: other=1', 'Cookie: seen=before'],
  })
  t.equal(plain.status, 200)
  t.match(plain.text(), 'a=1,2\nb=\xc3\xbc x\n', 'L-9')
  t.match(plain.text(), 'cookie=before\n', 'B-12')
  t.match(plain.text(), 'path=/p q\n')
  t.match(plain.text(), `url=http://example.test${target}/p%20q\n`)
  t.match(plain.header('set-cookie'), 'seen=yes')
  t.equal(plain.all('date').length, 1, 'L-8 a Date of its own is not doubled')

  const file = randomBytes(2_000_000)
  const want = `file=a b.bin ${file.length} ${createHash('sha256').update(file).digest('hex')}\n`
  const type = `Content-Type: multipart/form-data; boundary=${boundary}`
  const body = multipart(file)
  const upload = await server.request(target, { method: 'POST', headers: [type], body })
  t.match(upload.text(), 'colour=blue,gr\xc3\xbcn\n')
  t.match(upload.text(), want, 'D-1')

  const connection = await server.connect()
  const head = `POST ${target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n${type}\r\n\r\n`
  connection.send(Buffer.concat([Buffer.from(head), chunkBytes(body), chunkBytes('')]))
  t.match((await connection.response()).text(), want, 'D-2')

  const redirect = await server.request(`${target}?redirect=http://a.test/`)
  t.equal(redirect.status, 303)
  t.equal(redirect.reason, 'See Other')
  t.equal(redirect.header('location'), 'http://a.test/')
})

const gitwebPlaces = ['/usr/share/gitweb/gitweb.cgi', '/usr/lib/cgi-bin/gitweb.cgi']

t.test('gitweb', async t => {
  if (!(await hasCgiPm(t)) || peer(t, 'git') === undefined) return
  const gitweb = gitwebPlaces.find(path => existsSync(path)) ?? findOnPath('gitweb.cgi')
  if (gitweb === undefined) return missing(t, 'gitweb')

  const { path } = tempRoot(t)
  const repository = join(path, 'projects', 'some project')
  mkdirSync(repository, { recursive: true })
  const identity = ['-c', 'user.name=Tester', '-c', 'user.email=t@example.test']
  const git = (...args: string[]) =>
    run('git', [...identity, ...args], {
      cwd: repository,
      env: { PATH: process.env.PATH, HOME: path },
    })
  await git('init', '--quiet', '--initial-branch=main')
  writeFileSync(join(repository, 'größe & co.txt'), 'contents of the file\n')
  await git('add', '.')
  await git('commit', '--quiet', '-m', 'a <first> commit')
  const config = join(path, 'gitweb.conf')
  writeFileSync(
    config,
    `$projectroot = "${join(path, 'projects')}";\n$feature{'pathinfo'}{'default'} = [1];\n1;\n`,
  )

  const server = await startTestServer(t, {
    routes: root => [
      cgiRoute(root, {
        path: '/gitweb/',
        target: gitweb,
        program: true,
        env: { set: { GITWEB_CONFIG: config, HOME: path }, pass: [] },
      }),
    ],
  })
  const list = await server.request('/gitweb/')
  t.equal(list.status, 200)
  t.match(list.text(), 'some project')

  const project = '/gitweb/some%20project/.git'
  t.match((await server.request(project)).text(), 'a &lt;first&gt; commit')
  const blob = `${project}/blob_plain/main:/gr%C3%B6%C3%9Fe%20%26%20co.txt`
  t.equal((await server.request(blob)).text(), 'contents of the file\n', 'L-9 names in PATH_INFO')
  const query = '/gitweb/?p=some+project/.git;a=blob_plain;f=gr%C3%B6%C3%9Fe+%26+co.txt;hb=main'
  t.equal((await server.request(query)).text(), 'contents of the file\n', 'L-9 names in the query')
  t.equal((await server.request('/gitweb/?p=none.git')).status, 404)
})
