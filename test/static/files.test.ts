import * as realFs from 'node:fs'
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { asGatewayError, type GatewayError } from '../../src/errors.js'
import { createStaticFiles, type StaticFiles } from '../../src/static/files.js'
import { type FileTable, type TempRoot, tempRoot } from '../support/temp-root.js'
import { waitFor, within } from '../support/wait-for.js'

interface Answer {
  status: number
  headers: IncomingMessage['headers']
  rawHeaders: string[]
  body: string
  /** It ended before its Content-Length. */
  broken: boolean
}

interface Served {
  root: TempRoot
  port: number
  /** Errors that `serve` or `sendFile` rejected with. */
  errors: string[]
  /** Requests whose promise has settled. */
  settled: () => number
  get(path: string, headers?: Record<string, string>, method?: string): Promise<Answer>
}

type Handler = (files: StaticFiles, req: IncomingMessage, res: ServerResponse) => Promise<void>

const serving: Handler = (files, req, res) => {
  const path = (req.url ?? '').split('?')[0] ?? ''
  const decoded = path.replace(/%([0-9a-f]{2})/gi, (_, hex) =>
    hex === '2F' ? '\u012f' : String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return files.serve(req, res, decoded)
}

/** The error as a GatewayError; a mocked module throws one of a class of its own. */
function asOurs(thrown: unknown): GatewayError {
  const isOurs = thrown instanceof Error && thrown.name === 'GatewayError'
  return isOurs ? (thrown as GatewayError) : asGatewayError(thrown)
}

/** A server of the files, which answers a rejection with its status and code. */
async function serve(
  t: Test,
  files: FileTable,
  handler: Handler = serving,
  create = createStaticFiles,
): Promise<Served> {
  const root = tempRoot(t, {}, files)
  const hiddenDirectories = [root.cgi]
  const created = create({
    root: root.public,
    index: ['index.html'],
    hiddenDirectories,
    hiddenFiles: [],
  })
  const errors: string[] = []
  let settled = 0
  const server = createServer((req, res) => {
    handler(created, req, res)
      .catch((thrown: unknown) => {
        const error = asOurs(thrown)
        errors.push(`${error.code} ${error.detail}`)
        if (res.headersSent) return
        res.statusCode = error.status
        res.end(error.code)
      })
      .finally(() => settled++)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => {
    agent.destroy()
    server.closeAllConnections()
    server.close()
  })
  const get: Served['get'] = (path, headers = {}, method = 'GET') =>
    within(
      `the answer to ${path}`,
      new Promise((resolve, reject) => {
        const options = { port, host: '127.0.0.1', path, headers, method, agent }
        request(options, res => {
          let body = ''
          let broken = false
          res.setEncoding('latin1')
          res.on('data', (text: string) => {
            body += text
          })
          res.on('error', () => {
            broken = true
          })
          res.on('close', () => {
            const { statusCode: status = 0, rawHeaders } = res
            resolve({ status, headers: res.headers, rawHeaders, body, broken })
          })
        })
          .on('error', reject)
          .end()
      }),
    )
  return { root, port, errors, settled: () => settled, get }
}

/** Dates the file back, so that it is old enough for every validator. */
function age(file: string, seconds = 60): void {
  const then = Date.now() / 1000 - seconds
  utimesSync(file, then, then)
}

t.test('GET and HEAD: media type, length, validators', async t => {
  const { root, get, errors } = await serve(t, { 'a.html': '<p>hi', 'data.xyz1': 'x' })
  const file = join(root.public, 'a.html')
  age(file)
  const { status, headers, body } = await get('/a.html')
  t.equal(status, 200)
  t.equal(body, '<p>hi')
  t.equal(headers['content-type'], 'text/html; charset=utf-8')
  t.equal(headers['content-length'], '5')
  t.equal(headers['accept-ranges'], 'bytes')
  t.equal(headers['last-modified'], statSync(file).mtime.toUTCString())
  t.match(headers.etag, /^"[^"]+"$/)

  const head = await get('/a.html', {}, 'HEAD')
  t.equal(head.status, 200)
  t.equal(head.body, '')
  t.equal(head.headers['content-length'], '5')
  t.equal(head.headers.etag, headers.etag)
  t.equal((await get('/data.xyz1')).headers['content-type'], 'application/octet-stream')
  t.strictSame(errors, [])
})

t.test('an empty file, GET, HEAD and with a range', async t => {
  const { get } = await serve(t, { 'empty.txt': '' })
  for (const method of ['GET', 'HEAD']) {
    t.match(await get('/empty.txt', {}, method), {
      status: 200,
      headers: { 'content-length': '0' },
    })
  }
  t.match(await get('/empty.txt', { range: 'bytes=0-0' }), { status: 416 })
})

t.test('a file of many pieces arrives whole', async t => {
  const content = Buffer.alloc(1_000_001, '0123456789abcdef')
  const { get } = await serve(t, { 'big.bin': { content, mode: 0o644 } })
  const { body, headers } = await get('/big.bin')
  t.equal(headers['content-length'], '1000001')
  t.ok(body === content.toString('latin1'))
  const range = await get('/big.bin', { range: 'bytes=300000-899999' })
  t.equal(range.status, 206)
  t.ok(range.body === content.toString('latin1', 300000, 900000))
})

t.test('ranges (RFC 9110 §14)', async t => {
  const { root, get } = await serve(t, { 'a.txt': '0123456789' })
  age(join(root.public, 'a.txt'))
  const etag = (await get('/a.txt')).headers.etag ?? ''
  const cases: [string, Record<string, string>, number, string, string | undefined][] = [
    ['first', { range: 'bytes=0-3' }, 206, '0123', 'bytes 0-3/10'],
    ['open end', { range: 'bytes=7-' }, 206, '789', 'bytes 7-9/10'],
    ['suffix', { range: 'bytes=-2' }, 206, '89', 'bytes 8-9/10'],
    ['beyond', { range: 'bytes=10-' }, 416, '', 'bytes */10'],
    ['not bytes', { range: 'lines=1-2' }, 200, '0123456789', undefined],
    [
      'If-Range that matches',
      { range: 'bytes=0-3', 'if-range': etag },
      206,
      '0123',
      'bytes 0-3/10',
    ],
    [
      'If-Range of another',
      { range: 'bytes=0-3', 'if-range': '"x"' },
      200,
      '0123456789',
      undefined,
    ],
  ]
  for (const [name, headers, status, body, contentRange] of cases) {
    const answer = await get('/a.txt', headers)
    t.equal(answer.status, status, name)
    t.equal(answer.body, body, name)
    t.equal(answer.headers['content-range'], contentRange, name)
    t.equal(answer.headers['content-length'], String(body.length), name)
  }
})

t.test('conditions (RFC 9110 §13)', async t => {
  const { root, get, errors } = await serve(t, { 'a.txt': 'hello' })
  age(join(root.public, 'a.txt'))
  const first = await get('/a.txt')
  const etag = first.headers.etag ?? ''
  const date = first.headers['last-modified'] ?? ''
  const past = new Date(0).toUTCString()
  const cases: [Record<string, string>, number][] = [
    [{ 'if-none-match': etag }, 304],
    [{ 'if-none-match': `"x", W/${etag}` }, 304],
    [{ 'if-none-match': '"x"' }, 200],
    [{ 'if-none-match': '"x"', 'if-modified-since': date }, 200],
    [{ 'if-modified-since': date }, 304],
    [{ 'if-modified-since': past }, 200],
    [{ 'if-match': etag }, 200],
    [{ 'if-match': '"x"' }, 412],
    [{ 'if-unmodified-since': past }, 412],
  ]
  for (const [headers, status] of cases) {
    const answer = await get('/a.txt', headers)
    t.equal(answer.status, status, JSON.stringify(headers))
    t.equal(answer.body, status === 200 ? 'hello' : '')
  }
  t.strictSame(errors, [])
})

t.test('L-10: a file rewritten within the same second is whole and new', async t => {
  const { root, get } = await serve(t, {})
  const file = join(root.public, 'graph.txt')
  writeFileSync(file, 'old')
  for (let round = 0; round < 20; round++) {
    const { body, headers } = await get('/graph.txt')
    t.equal(headers['last-modified'], undefined, 'a date would name the next version too')
    const next = `${round}`.padStart(3, '0')
    if (round % 2 === 0) {
      writeFileSync(file, next)
    } else {
      writeFileSync(`${file}.new`, next)
      renameSync(`${file}.new`, file)
    }
    const second = await get('/graph.txt', {
      'if-none-match': headers.etag ?? '',
      'if-modified-since': new Date().toUTCString(),
    })
    t.equal(second.status, 200)
    t.equal(second.body, next)
    t.not(body, next)
    const dated = await get('/graph.txt', { 'if-modified-since': new Date().toUTCString() })
    t.equal(dated.status, 200, 'nor does a date alone help')
  }
})

t.test('L-10: the tag tells the fraction of a second and the size', async t => {
  const { root, get } = await serve(t, { 'a.txt': 'hello' })
  const file = join(root.public, 'a.txt')
  const tag = async (): Promise<string | undefined> => (await get('/a.txt')).headers.etag
  utimesSync(file, 1_000_000_000.25, 1_000_000_000.25)
  const quarter = await tag()
  t.equal(await tag(), quarter, 'it is steady')
  utimesSync(file, 1_000_000_000.5, 1_000_000_000.5)
  const half = await tag()
  t.not(half, quarter)
  writeFileSync(file, 'hello!')
  utimesSync(file, 1_000_000_000.5, 1_000_000_000.5)
  t.not(await tag(), half)
})

t.test('a directory without its slash: 301, query kept, never to another site', async t => {
  const files = {
    'sub/index.html': 'sub',
    'evil.test/index.html': 'x',
    'a b%c/index.html': 'x',
    '\\evil.test/index.html': 'x',
    'é/index.html': 'x',
  }
  const { get } = await serve(t, files)
  const cases: [string, string][] = [
    ['/sub', '/sub/'],
    ['/sub?a=b?c&d=%2F', '/sub/?a=b?c&d=%2F'],
    ['/sub?', '/sub/?'],
    ['//evil.test', '/evil.test/'],
    ['///evil.test?x', '/evil.test/?x'],
    ['/%5cevil.test', '/%5Cevil.test/'],
    ['/a%20b%25c', '/a%20b%25c/'],
    ['/%c3%a9', '/%C3%A9/'],
  ]
  for (const [path, location] of cases) {
    const { status, headers, body } = await get(path)
    t.strictSame([status, headers.location, body], [301, location, ''], path)
  }
  t.equal((await get('/sub/')).body, 'sub')
})

t.test('percent signs in names are taken literally, once decoded', async t => {
  const { get } = await serve(t, { 'a%2e.txt': 'one', '%41.txt': 'two', 'b c.txt': 'three' })
  t.equal((await get('/a%252e.txt')).body, 'one')
  t.equal((await get('/%2541.txt')).body, 'two')
  t.equal((await get('/b%20c.txt')).body, 'three')
  t.equal((await get('/%41.txt')).status, 404)
})

t.test('refusals come before anything is written', async t => {
  const { get, errors } = await serve(t, { '.env': 'SECRET', 'sub/x.txt': 'x', 'a.txt': 'x' })
  t.match(await get('/none'), { status: 404, body: 'NOT_FOUND' })
  t.match(await get('/.env'), { status: 404, body: 'NOT_FOUND' })
  t.match(await get('/sub%2Fx.txt'), { status: 404, body: 'NOT_FOUND' })
  t.match(await get('/sub/'), { status: 404, body: 'NOT_FOUND' })
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    t.match(await get('/a.txt', {}, method), { status: 405, body: 'METHOD_NOT_ALLOWED' })
  }
  t.equal(errors.at(-1), 'METHOD_NOT_ALLOWED GET, HEAD')
})

const onLinux = process.platform === 'linux' ? {} : { skip: 'needs /proc/self/fd' }

/** Descriptors of this process below the folder. */
function openBelow(folder: string): string[] {
  const links = readdirSync('/proc/self/fd').map(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return ''
    }
  })
  return links.filter(link => link.startsWith(folder))
}

t.test('no descriptor is left, whatever the answer', onLinux, async t => {
  const big = { content: Buffer.alloc(600_000), mode: 0o644 }
  const { root, get, settled } = await serve(t, { 'a.txt': 'hello', 'sub/x': 'x', 'big.bin': big })
  age(join(root.public, 'a.txt'))
  const etag = (await get('/a.txt')).headers.etag ?? ''
  await get('/a.txt', {}, 'HEAD')
  await get('/a.txt', { 'if-none-match': etag })
  await get('/a.txt', { 'if-match': '"x"' })
  await get('/a.txt', { range: 'bytes=9-' })
  await get('/a.txt', { range: 'bytes=1-2' })
  await get('/sub')
  await get('/big.bin')
  await get('/big.bin', {}, 'HEAD')
  await waitFor('all are settled', () => settled() === 9)
  await waitFor('all are closed', () => openBelow(root.path).length === 0)
})

t.test('a client that leaves: the promise settles, the file is closed', onLinux, async t => {
  const big = { content: Buffer.alloc(50_000_000), mode: 0o644 }
  const { root, port, settled, errors } = await serve(t, { 'big.bin': big })
  const client = connect(port, '127.0.0.1')
  client.write('GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n')
  await within('the first bytes', new Promise(resolve => client.once('data', resolve)))
  t.equal(settled(), 0)
  client.destroy()
  await waitFor('it is settled', () => settled() === 1)
  await waitFor('it is closed', () => openBelow(root.path).length === 0)
  t.strictSame(errors, [], 'nobody is to blame')
})

t.test('a file that shrinks while it is sent never looks whole', onLinux, async t => {
  const big = { content: Buffer.alloc(50_000_000), mode: 0o644 }
  const { root, port, settled, errors } = await serve(t, { 'big.bin': big })
  const client = connect(port, '127.0.0.1')
  t.teardown(() => client.destroy())
  let received = 0
  client.write('GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n')
  await within('the first bytes', new Promise(resolve => client.once('data', resolve)))
  client.pause()
  truncateSync(join(root.public, 'big.bin'), 1000)
  const closed = new Promise(resolve => client.once('close', resolve))
  client.on('error', () => {})
  client.on('data', (chunk: Buffer) => {
    received += chunk.length
  })
  client.resume()
  await within('the connection is closed', closed)
  t.ok(received < 50_000_000)
  await waitFor('it is settled', () => settled() === 1)
  t.match(errors, [/^TRUNCATED .*changed/])
  await waitFor('it is closed', () => openBelow(root.path).length === 0)
})

type Read = (
  fd: number,
  into: Buffer,
  at: number,
  length: number,
  position: number,
  done: (error: Error | null, bytesRead: number, bytes: Buffer) => void,
) => void

/** Static files whose every read is preceded by `before`, and fails with the error that it gives. */
async function withReads(
  t: Test,
  before: () => Error | undefined,
): Promise<typeof createStaticFiles> {
  const read: Read = (fd, into, at, length, position, done) => {
    const error = before()
    if (error === undefined) realFs.read(fd, into, at, length, position, done)
    else setImmediate(done, error, 0, into)
  }
  const mocked = (await t.mockImport('../../src/static/files.js', {
    'node:fs': { ...realFs, read },
  })) as { createStaticFiles: typeof createStaticFiles }
  return mocked.createStaticFiles
}

t.test('L-10: a file that changes between stat and read is sent anew, whole', async t => {
  for (const next of ['shorter', 'a longer one than before', 'as long as before']) {
    let file: string | undefined
    const create = await withReads(t, () => {
      if (file !== undefined) writeFileSync(file, next)
      file = undefined
      return undefined
    })
    const { root, get, errors } = await serve(t, { 'a.txt': 'as long as beforf' }, serving, create)
    file = join(root.public, 'a.txt')
    age(file)
    const answer = await get('/a.txt')
    t.equal(answer.status, 200)
    t.equal(answer.body, next)
    t.equal(answer.headers['last-modified'], undefined, 'the date is not of the old one')
    t.equal(answer.headers['content-length'], String(next.length))
    t.strictSame(errors, [])
  }
})

t.test('L-10: one that grows all the time, a log, is sent as it was', async t => {
  let file = ''
  let size = 6
  const create = await withReads(t, () => {
    appendFileSync(file, 'more')
    size += 4
    return undefined
  })
  const { root, get } = await serve(t, { 'a.log': 'begin ' }, serving, create)
  file = join(root.public, 'a.log')
  const { status, body, headers } = await get('/a.log')
  t.equal(status, 200)
  t.match(body, /^begin (more)*$/)
  t.equal(headers['content-length'], String(body.length))
  t.ok(body.length < size)
})

t.test('one that shrinks all the time: an error with a clean response', onLinux, async t => {
  let file = ''
  const create = await withReads(t, () => {
    truncateSync(file, statSync(file).size - 1)
    return undefined
  })
  const { root, get, errors } = await serve(t, { 'a.txt': '0123456789' }, serving, create)
  file = join(root.public, 'a.txt')
  const answer = await get('/a.txt')
  t.match(answer, { status: 502, body: 'TRUNCATED' })
  t.equal(answer.headers.etag, undefined)
  t.equal(errors.length, 1)
  t.strictSame(openBelow(root.path), [])
})

t.test('a read that fails: INTERNAL with the code of the system', onLinux, async t => {
  let reads = 0
  const create = await withReads(t, () => {
    reads++
    return Object.assign(new Error('no'), { code: 'EIO' })
  })
  const { root, get, errors } = await serve(t, { 'a.txt': 'hello' }, serving, create)
  t.match(await get('/a.txt'), { status: 500, body: 'INTERNAL' })
  t.strictSame(errors, ['INTERNAL Reading a file failed with EIO.'])
  t.equal(reads, 1, 'it is not tried again')
  t.strictSame(openBelow(root.path), [])
})

t.test('keep-alive survives every kind of answer', async t => {
  const { root, port } = await serve(t, { 'a.txt': 'hello' })
  age(join(root.public, 'a.txt'))
  const client = connect(port, '127.0.0.1')
  t.teardown(() => client.destroy())
  const asked = [
    '',
    'Range: bytes=9-\r\n',
    'If-Match: "x"\r\n',
    'If-Modified-Since: Fri, 31 Dec 2100 00:00:00 GMT\r\n',
    '',
  ]
  client.write(asked.map(field => `GET /a.txt HTTP/1.1\r\nHost: a\r\n${field}\r\n`).join(''))
  let text = ''
  client.on('data', (chunk: Buffer) => {
    text += chunk
  })
  await waitFor('five answers', () => (text.match(/HTTP\/1\.1 /g) ?? []).length === 5)
  t.strictSame(
    text.match(/HTTP\/1\.1 \d+/g),
    [200, 416, 412, 304, 200].map(s => `HTTP/1.1 ${s}`),
  )
})

/** Answers with X-Sendfile for the file named by the path. */
function sending(headers: string[], status: number): Handler {
  return (files, req, res) => {
    const folder = String(req.headers['x-folder'])
    return files.sendFile(req, res, join(folder, req.url ?? ''), headers, status)
  }
}

t.test('E-29: sendFile keeps the fields of the program, in order, and its status', async t => {
  const own = ['Content-Type', 'application/x-own', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=\xe9']
  const { root, get } = await serve(t, {}, sending(own, 203))
  root.leave('secret.txt')
  writeFileSync(join(root.notes, 'secret.txt'), 'hello')
  const answer = await get('/secret.txt', { 'x-folder': root.notes, range: 'bytes=0-1' })
  t.equal(answer.status, 203, 'a range means a 200')
  t.equal(answer.body, 'hello')
  t.equal(answer.headers['content-type'], 'application/x-own')
  t.strictSame(answer.headers['set-cookie'], ['a=1', 'b=\xe9'])
  t.equal(answer.headers['cache-control'], undefined, 'it may be private')
})

t.test(
  'E-29: sendFile with status 200 does ranges and conditions, with the tag of the program',
  async t => {
    const { root, get } = await serve(t, {}, sending(['ETag', '"own"'], 200))
    writeFileSync(join(root.notes, 'a.txt'), 'hello')
    const folder = { 'x-folder': root.notes }
    t.match(await get('/a.txt', { ...folder, range: 'bytes=1-2' }), { status: 206, body: 'el' })
    t.match(await get('/a.txt', { ...folder, 'if-none-match': '"own"' }), { status: 304, body: '' })
    const posted = await get('/a.txt', { ...folder, 'if-none-match': '"own"' }, 'POST')
    t.match(posted, { status: 200, body: 'hello' }, 'a POST has no conditions here')
  },
)

t.test('E-29: sendFile of what is not there, or no file', async t => {
  const { root, get, errors } = await serve(t, {}, sending(['X-Own', '1'], 200))
  mkdirSync(join(root.notes, 'folder'))
  const none = await get('/none', { 'x-folder': root.notes })
  t.match(none, { status: 404, body: 'NOT_FOUND' })
  t.equal(none.headers['x-own'], undefined, 'nothing was set')
  t.match(await get('/folder', { 'x-folder': root.notes }), { status: 404 })
  t.equal(errors.at(-1), 'NOT_FOUND It is a directory.')
})

t.test(
  'sendFile with a field that node refuses: an error, a clean response, no descriptor',
  onLinux,
  async t => {
    const { root, get, errors } = await serve(t, {}, sending(['X-Own', '1', 'X-Bad', 'a\nb'], 203))
    writeFileSync(join(root.notes, 'a.txt'), 'hello')
    const answer = await get('/a.txt', { 'x-folder': root.notes })
    t.equal(answer.status, 500)
    t.equal(answer.headers['x-own'], undefined)
    t.match(errors, [/^INTERNAL/])
    t.strictSame(openBelow(root.path), [])
  },
)
