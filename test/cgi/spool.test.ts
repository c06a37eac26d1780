import * as realFs from 'node:fs'
import { fstatSync, mkdtempSync, readdirSync, readSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { type SpooledBody, type SpoolOptions, spoolBody } from '../../src/cgi/spool.js'
import type { GatewayError } from '../../src/errors.js'
import { waitFor, within } from '../support/wait-for.js'

const onLinux = process.platform === 'linux' ? {} : { skip: 'needs /proc/self/fd' }

/** A folder that must be empty at the end, and the options of a test. */
function setUp(t: Test, options: Partial<SpoolOptions> = {}): SpoolOptions {
  const directory = mkdtempSync(join(tmpdir(), 'postern-spool-'))
  t.teardown(() => {
    const left = readdirSync(directory)
    rmSync(directory, { recursive: true })
    if (left.length > 0) throw new Error(`left behind: ${left}`)
  })
  return {
    memoryBytes: 8,
    limitBytes: 1000,
    idleMs: 0,
    signal: new AbortController().signal,
    directory,
    ...options,
  }
}

function chunks(...texts: string[]): Readable {
  return Readable.from(texts.map(text => Buffer.from(text)))
}

/** Reads the descriptor from its own offset, as a child would. */
function readAll(body: SpooledBody): string {
  const into = Buffer.alloc(body.length + 1)
  const bytes = readSync(body.fd ?? -1, into, 0, into.length, null)
  return into.toString('utf8', 0, bytes)
}

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd)
    return true
  } catch {
    return false
  }
}

/** Descriptors of this process that lead to a spool file. */
function spoolFiles(directory = ''): string[] {
  const links = readdirSync('/proc/self/fd').map(fd => {
    try {
      return realFs.readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return ''
    }
  })
  return links.filter(link => link.startsWith(join(directory, 'postern-body-')))
}

/** A close that was asked for before has been done after this, most surely. */
async function poolTurn(): Promise<void> {
  for (let turn = 0; turn < 8; turn++) await realFs.promises.stat('/dev/null')
}

async function failure(promise: Promise<SpooledBody>): Promise<GatewayError> {
  return await within(
    'the spool fails',
    promise.then(
      () => {
        throw new Error('it did not fail')
      },
      (error: GatewayError) => error,
    ),
  )
}

/** Nothing of ours listens any more but the guard against late errors. */
function listenersLeft(stream: Readable): number {
  return ['data', 'end', 'close'].reduce((sum, name) => sum + stream.listenerCount(name), 0)
}

t.test('D-2: a body is held in memory up to memoryBytes', async t => {
  const body = await spoolBody(chunks('hell', 'o wo'), setUp(t))
  t.match(body, { length: 8, buffer: Buffer.from('hello wo'), fd: undefined })
  body.dispose()
  body.dispose()
})

t.test('D-2: an empty body', async t => {
  const body = await spoolBody(chunks(), setUp(t))
  t.match(body, { length: 0, fd: undefined })
  t.equal(body.buffer?.length, 0)
})

t.test('a body of one chunk is not copied', async t => {
  const chunk = Buffer.from('whole')
  const body = await spoolBody(Readable.from([chunk]), setUp(t))
  t.equal(body.buffer, chunk)
})

t.test('D-2: one byte more goes to a file without a name, at offset 0', async t => {
  const options = setUp(t)
  const body = await spoolBody(chunks('hell', 'o wo', 'r', 'ld'), options)
  t.equal(body.buffer, undefined)
  t.equal(body.length, 11)
  const fd = body.fd ?? -1
  t.equal(fstatSync(fd).nlink, 0, 'unlinked')
  t.equal(fstatSync(fd).mode & 0o777, 0o600)
  t.strictSame(readdirSync(options.directory ?? ''), [])
  t.equal(readAll(body), 'hello world')
  body.dispose()
  await waitFor('the descriptor is closed', () => !isOpen(fd))
})

t.test('the file goes to TMPDIR by default', onLinux, async t => {
  const { directory: _, ...options } = setUp(t)
  const body = await spoolBody(chunks('more than eight'), options)
  t.teardown(() => body.dispose())
  t.equal(spoolFiles(tmpdir()).length, 1)
})

t.test('dispose closes once, even when the number has been given to another file', async t => {
  const body = await spoolBody(chunks('more than eight'), setUp(t))
  const fd = body.fd ?? -1
  body.dispose()
  await waitFor('the descriptor is closed', () => !isOpen(fd))
  const opened: number[] = []
  t.teardown(() => {
    for (const each of opened) realFs.closeSync(each)
  })
  while (!opened.includes(fd)) opened.push(realFs.openSync('/dev/null', 'r'))
  body.dispose()
  await poolTurn()
  t.ok(isOpen(fd))
})

t.test('D-4: limitBytes, at it and one past it, in memory and in a file', async t => {
  for (const memoryBytes of [100, 4]) {
    const options = setUp(t, { memoryBytes, limitBytes: 10 })
    const whole = await spoolBody(chunks('12345', '67890'), options)
    t.equal(whole.length, 10)
    whole.dispose()

    const stream = chunks('12345', '67890', 'x', 'never read')
    const error = await failure(spoolBody(stream, options))
    t.match(error, { code: 'BODY_TOO_LARGE', status: 413 })
    t.match(error.detail, /10 bytes/)
    t.ok(stream.isPaused(), 'the caller decides about the rest')
    t.equal(listenersLeft(stream), 0)
  }
})

t.test('408: a client that pauses too long, in memory and in a file', async t => {
  for (const memoryBytes of [100, 2]) {
    const stream = new PassThrough()
    stream.write('hello')
    const error = await failure(spoolBody(stream, setUp(t, { memoryBytes, idleMs: 20 })))
    t.match(error, { code: 'BODY_TIMEOUT', status: 408 })
    t.equal(listenersLeft(stream), 0)
  }
})

t.test('a client that goes on in time is not idle', async t => {
  const stream = new PassThrough()
  const body = spoolBody(stream, setUp(t, { idleMs: 400 }))
  const start = performance.now()
  const writing = setInterval(() => {
    stream.write('x')
    if (performance.now() - start < 600) return
    clearInterval(writing)
    stream.end()
  }, 20)
  t.ok((await body).length > 0)
  ;(await body).dispose()
})

t.test('D-5: a stream that closes before its end is never a whole body', async t => {
  for (const memoryBytes of [100, 2]) {
    const options = setUp(t, { memoryBytes })
    const closed = new PassThrough()
    closed.write('hello')
    const spooled = failure(spoolBody(closed, options))
    closed.destroy()
    t.match(await spooled, { code: 'CLIENT_LEFT' })

    const broken = new PassThrough()
    broken.write('hello')
    const failing = failure(spoolBody(broken, options))
    broken.destroy(new Error('read ECONNRESET'))
    t.match(await failing, { code: 'CLIENT_LEFT', detail: 'read ECONNRESET' })

    const aborting = new AbortController()
    const stream = new PassThrough()
    stream.write('hello')
    const aborted = failure(spoolBody(stream, { ...options, signal: aborting.signal }))
    aborting.abort()
    t.match(await aborted, { code: 'CLIENT_LEFT' })
    t.equal(listenersLeft(stream), 0)
  }
})

t.test('gone before we began: refused at once', async t => {
  const closed = new PassThrough()
  closed.destroy()
  t.match(await failure(spoolBody(closed, setUp(t))), { code: 'CLIENT_LEFT' })
  const signal = AbortSignal.abort()
  t.match(await failure(spoolBody(chunks('x'), setUp(t, { signal }))), { code: 'CLIENT_LEFT' })
})

t.test('a body that somebody has read already is said, not waited for', async t => {
  const stream = chunks('hello')
  for await (const _ of stream);
  t.match(await failure(spoolBody(stream, setUp(t))), { code: 'INTERNAL', detail: /read the body/ })
})

t.test('an error after the failure does not end the server', async t => {
  const stream = new PassThrough()
  stream.write('too much')
  await failure(spoolBody(stream, setUp(t, { limitBytes: 3 })))
  stream.destroy(new Error('late'))
  await waitFor('it is closed', () => stream.closed)
  t.pass('nothing was thrown')
})

t.test('a folder that cannot be written: STORAGE_FAILED with the code of the system', async t => {
  const options = setUp(t, { directory: '/nonexistent/folder' })
  const stream = chunks('more than eight')
  const error = await failure(spoolBody(stream, options))
  t.match(error, { code: 'STORAGE_FAILED', detail: /open failed with ENOENT/ })
  t.equal(listenersLeft(stream), 0)
})

type WriteDone = (error: NodeJS.ErrnoException | null, written: number) => void
type Write = (
  fd: number,
  bytes: Buffer,
  at: number,
  length: number,
  position: number,
  done: WriteDone,
) => void

/** spoolBody on a disk that behaves as told. */
async function withDisk(t: Test, write: Write): Promise<typeof spoolBody> {
  const fs = { ...realFs, write }
  const mocked = (await t.mockImport('../../src/cgi/spool.js', { 'node:fs': fs })) as {
    spoolBody: typeof spoolBody
  }
  return mocked.spoolBody
}

t.test('a full disk: STORAGE_FAILED with ENOSPC, and no descriptor left', onLinux, async t => {
  const spool = await withDisk(t, (_fd, _bytes, _at, _length, _position, done) =>
    setImmediate(done, Object.assign(new Error('full'), { code: 'ENOSPC', syscall: 'write' }), 0),
  )
  const options = setUp(t)
  const error = await failure(spool(chunks('more than eight'), options))
  t.match(error, { code: 'STORAGE_FAILED', detail: /write failed with ENOSPC/ })
  await waitFor('the descriptor is closed', () => spoolFiles(options.directory).length === 0)
})

t.test('a disk that writes in pieces: nothing is lost', async t => {
  const spool = await withDisk(t, (fd, bytes, at, length, position, done) =>
    realFs.write(fd, bytes, at, Math.min(length, 3), position, done),
  )
  const body = await spool(chunks('more than ', 'eight bytes'), setUp(t))
  t.equal(readAll(body), 'more than eight bytes')
  body.dispose()
})

t.test(
  'D-8: a slow disk holds the client back: one write in flight, the stream paused',
  async t => {
    let inFlight = 0
    let most = 0
    let finish: (() => void) | undefined
    const spool = await withDisk(t, (fd, bytes, at, length, position, done) => {
      most = Math.max(most, ++inFlight)
      finish = () => {
        inFlight--
        realFs.write(fd, bytes, at, length, position, done)
      }
    })
    const stream = new Readable({ highWaterMark: 10, read: () => {} })
    const body = spool(stream, setUp(t, { idleMs: 20 }))
    for (let i = 0; i < 5; i++) stream.push('0123456789')
    stream.push(null)
    let writes = 0
    while (writes < 5) {
      const next = await waitFor('a write begins', () => finish)
      finish = undefined
      t.ok(stream.isPaused())
      // Longer than idleMs: the client is not to blame for our disk.
      if (writes++ === 1) await new Promise(resolve => setTimeout(resolve, 60))
      next()
    }
    t.equal(readAll(await body), '0123456789'.repeat(5))
    t.equal(most, 1)
    ;(await body).dispose()
  },
)

t.test(
  'a client that leaves while a write is under way: closed after it, not before',
  onLinux,
  async t => {
    let finish: (() => void) | undefined
    const spool = await withDisk(t, (fd, bytes, at, length, position, done) => {
      finish = () => realFs.write(fd, bytes, at, length, position, done)
    })
    const options = setUp(t)
    const stream = new PassThrough()
    stream.write('more than eight')
    const failing = failure(spool(stream, options))
    const next = await waitFor('the write begins', () => finish)
    stream.destroy()
    await waitFor('the stream is closed', () => stream.closed)
    await poolTurn()
    t.equal(spoolFiles(options.directory).length, 1, 'still open')
    next()
    t.match(await failing, { code: 'CLIENT_LEFT' })
    await waitFor('the descriptor is closed', () => spoolFiles(options.directory).length === 0)
  },
)

t.test('no descriptor leaks, whichever way it ends', onLinux, async t => {
  const options = setUp(t, { limitBytes: 30, idleMs: 20 })
  const ways: (() => Promise<unknown>)[] = [
    async () => (await spoolBody(chunks('more than ', 'eight'), options)).dispose(),
    () => failure(spoolBody(chunks('more than ', 'eight', 'x'.repeat(30)), options)),
    async () => {
      const stream = new PassThrough()
      stream.write('more than eight')
      await failure(spoolBody(stream, options))
    },
    async () => {
      const stream = new PassThrough()
      stream.write('more than eight')
      const failing = failure(spoolBody(stream, options))
      setImmediate(() => stream.destroy())
      await failing
    },
  ]
  for (let round = 0; round < 10; round++) await Promise.all(ways.map(way => way()))
  await waitFor('all are closed', () => spoolFiles(options.directory).length === 0)
})

/** A server that spools the body of its one request. */
async function serveOne(
  t: Test,
  options: SpoolOptions,
): Promise<{ port: number; body: Promise<SpooledBody> }> {
  const server = createServer()
  const body = new Promise<IncomingMessage>(resolve => server.once('request', resolve)).then(
    request => spoolBody(request, options),
  )
  body.catch(() => {})
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, body }
}

const chunkedHead = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'

t.test('D-2: a chunked request of node:http, larger than memory', async t => {
  const { port, body } = await serveOne(t, setUp(t, { memoryBytes: 1000, limitBytes: 1e7 }))
  const client = connect(port, '127.0.0.1')
  t.teardown(() => client.destroy())
  client.write(chunkedHead)
  const data = Buffer.alloc(300_000, 'abcdefg')
  client.write(`${data.length.toString(16)}\r\n`)
  client.write(data)
  client.write('\r\n5\r\nhello\r\n0\r\n\r\n')
  const spooled = await within('the body is there', body)
  t.equal(spooled.length, 300_005)
  t.equal(readAll(spooled), `${data}hello`)
  spooled.dispose()
})

t.test('D-5: a chunked request that breaks off', async t => {
  const { port, body } = await serveOne(t, setUp(t))
  const client = connect(port, '127.0.0.1')
  client.write(`${chunkedHead}5\r\nhello\r\n`, () => client.destroy())
  t.match(await failure(body), { code: 'CLIENT_LEFT' })
})
