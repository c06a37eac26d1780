// Listening sockets opened through FFI: blocking, closed on exec, modes, stale files, real ports.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { openListenSocket } from '../../src/process/listen-socket.js'
import { closesOnExec, openDescriptors } from '../support/processes.js'
import { tempRoot } from '../support/temp-root.js'
import { waitFor } from '../support/wait-for.js'

const options = { backlog: 16, mode: 0o600 }
const nonBlocking = 0o4000

const flagsOf = (fd: number): number =>
  Number.parseInt(
    /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '',
    8,
  )

/** Those of our own clients close a moment later. */
const descriptorsBack = (before: number): Promise<boolean> =>
  waitFor('descriptors are back', () => openDescriptors().size <= before)

const canConnect = (to: string | { host: string; port: number }): Promise<boolean> =>
  new Promise(resolve => {
    const socket = typeof to === 'string' ? connect(to) : connect(to)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })

t.test(
  'G-24: a unix socket: blocking, closed on exec, with its mode; close removes it',
  async t => {
    const path = join(tempRoot(t).path, 'é.sock')
    for (const mode of [0o600, 0o660]) {
      const before = openDescriptors().size
      const socket = await openListenSocket({ kind: 'unix', path }, { ...options, mode })
      t.equal(flagsOf(socket.fd) & nonBlocking, 0, 'libfcgi fails on a non-blocking one')
      t.ok(closesOnExec(socket.fd))
      t.equal(statSync(path).mode & 0o777, mode)
      t.same(socket.address, { kind: 'unix', path })
      t.notOk(socket.waiting())
      t.ok(await canConnect(path))
      t.ok(socket.waiting(), 'a connection that nobody accepts')
      socket.close()
      socket.close()
      t.notOk(existsSync(path))
      await descriptorsBack(before)
    }
  },
)

t.test('release leaves the socket to whoever else has it', async t => {
  const path = join(tempRoot(t).path, 's')
  const socket = await openListenSocket({ kind: 'unix', path }, options)
  const child = spawn('/bin/sleep', ['1000'], { stdio: [socket.fd, 'ignore', 'ignore'] })
  await once(child, 'spawn')
  socket.release()
  t.ok(await canConnect(path), 'the child has it')
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.notOk(await canConnect(path), 'refused as soon as the child is gone')
  t.ok(existsSync(path))
  socket.close()
  t.notOk(existsSync(path))
})

t.test(
  'a socket file that was left behind is replaced, one in use and other files are not',
  async t => {
    const root = tempRoot(t)
    const stale = join(root.path, 'stale')
    const left = await openListenSocket({ kind: 'unix', path: stale }, options)
    left.release()
    const fresh = await openListenSocket({ kind: 'unix', path: stale }, options)
    t.ok(await canConnect(stale))
    left.close()
    t.ok(existsSync(stale), 'who was replaced does not remove the new one')
    await t.rejects(openListenSocket({ kind: 'unix', path: stale }, options), {
      code: 'EADDRINUSE',
      syscall: 'listen',
      address: stale,
    })
    t.ok(await canConnect(stale), 'and it still answers')
    fresh.close()
    const file = join(root.path, 'file')
    writeFileSync(file, 'precious')
    await t.rejects(openListenSocket({ kind: 'unix', path: file }, options), { code: 'EADDRINUSE' })
    t.equal(readFileSync(file, 'utf8'), 'precious')
  },
)

t.test('a socket whose backlog is full is in use', async t => {
  const { path } = tempRoot(t)
  const place = { kind: 'unix', path: `${path}/s` } as const
  const socket = await openListenSocket(place, { backlog: 0, mode: 0o600 })
  const waiting = connect(place.path)
  await once(waiting, 'connect')
  t.notOk(await canConnect(place.path), 'nobody else gets in')
  await t.rejects(openListenSocket(place, options), { code: 'EADDRINUSE' })
  t.ok(existsSync(place.path))
  waiting.destroy()
  socket.close()
})

t.test('paths that cannot be: too long, no folder', async t => {
  const { path } = tempRoot(t)
  const before = openDescriptors().size
  const longest = `${path}/${'x'.repeat(107 - path.length - 1)}`
  const socket = await openListenSocket({ kind: 'unix', path: longest }, options)
  t.ok(await canConnect(longest), '107 bytes')
  socket.close()
  await t.rejects(openListenSocket({ kind: 'unix', path: `${longest}x` }, options), {
    code: 'ENAMETOOLONG',
  })
  await t.rejects(openListenSocket({ kind: 'unix', path: `${path}/no/s` }, options), {
    code: 'ENOENT',
    message: `cannot listen on unix:${path}/no/s: ENOENT`,
  })
  await descriptorsBack(before)
})

t.test('tcp: the real port, IPv4, IPv6 and names; a port in use', async t => {
  for (const host of ['127.0.0.1', '::1', 'localhost']) {
    const before = openDescriptors().size
    const socket = await openListenSocket({ kind: 'tcp', host, port: 0 }, options).catch(error => {
      // A machine without IPv6.
      if (host === '::1' && error.code === 'EADDRNOTAVAIL') return undefined
      throw error
    })
    if (socket === undefined || socket.address.kind !== 'tcp') continue
    const { port } = socket.address
    t.ok(port > 0)
    t.equal(flagsOf(socket.fd) & nonBlocking, 0)
    t.ok(await canConnect({ host, port }))
    await t.rejects(openListenSocket({ kind: 'tcp', host, port }, options), {
      code: 'EADDRINUSE',
      port,
    })
    socket.close()
    await waitFor('refused', async () => !(await canConnect({ host, port })))
    await descriptorsBack(before)
  }
})

t.test('tcp: an address that is not of this machine, a name that does not resolve', async t => {
  await t.rejects(openListenSocket({ kind: 'tcp', host: '192.0.2.1', port: 0 }, options), {
    code: 'EADDRNOTAVAIL',
  })
  await t.rejects(openListenSocket({ kind: 'tcp', host: 'no-such.invalid', port: 0 }, options), {
    code: /^(ENOTFOUND|EAI_AGAIN)$/,
  })
})

t.test('a server of node:net can accept on it', async t => {
  const { path } = tempRoot(t)
  const socket = await openListenSocket({ kind: 'unix', path: `${path}/s` }, options)
  const server = createServer(each => each.end('hi'))
  server.listen({ fd: socket.fd })
  await once(server, 'listening')
  const client = connect(`${path}/s`)
  let text = ''
  for await (const chunk of client) text += chunk
  t.equal(text, 'hi')
  server.close()
  await once(server, 'close')
})
