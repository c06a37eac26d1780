/** When a worker of ours counts as ready: it has said something, or hung up; not when it only might. */
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { workerReady } from '../../src/server/worker-ready.js'
import type { Address } from '../../src/upstream/address.js'
import { tempRoot } from '../support/temp-root.js'
import { within } from '../support/wait-for.js'

/** A program at a socket that does this with each connection. */
async function program(t: Test, serve: (socket: Socket) => void): Promise<Address> {
  const address = { kind: 'unix', path: join(tempRoot(t).path, 's') } as const
  const sockets = new Set<Socket>()
  const server: Server = createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    serve(socket)
  })
  await new Promise<void>(resolve => server.listen(address.path, resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return address
}

const never = new AbortController().signal

t.test('FastCGI §4.1: the question is FCGI_GET_VALUES, whatever is answered will do', async t => {
  let asked = ''
  const address = await program(t, socket =>
    socket.on('data', chunk => {
      asked += chunk.toString('hex')
      socket.write('?')
    }),
  )
  await within('it is ready', workerReady(address, never))
  // Version 1, type 9, id 0, 17 bytes and 7 of padding (libfcgi wants some); the name, a value of no bytes.
  const name = Buffer.from('FCGI_MPXS_CONNS').toString('hex')
  t.equal(asked, `0109000000110700${'0f00'}${name}${'00'.repeat(7)}`)
})

t.test('a program that reads the question and hangs up runs', async t => {
  const address = await program(t, socket => void socket.resume().once('data', () => socket.end()))
  await within('it is ready', workerReady(address, never))
})

t.test('one that dies before it takes the connection does not', async t => {
  const path = join(tempRoot(t).path, 's')
  const server: Server = createServer({ pauseOnConnect: true }, socket => void socket.destroy())
  await new Promise<void>(resolve => server.listen(path, resolve))
  t.teardown(() => server.close())
  await t.rejects(within('it is refused', workerReady({ kind: 'unix', path }, never)), {
    code: /^(ECONNRESET|EPIPE)$/,
  })
})

t.test('one that says nothing is waited for, until the signal', async t => {
  const connected = new AbortController()
  const address = await program(t, socket => socket.once('data', () => connected.abort()))
  const ready = workerReady(address, connected.signal)
  await t.rejects(within('it is given up', ready), { name: 'AbortError' })
  await t.rejects(workerReady(address, AbortSignal.abort()), { name: 'AbortError' })
})

t.test('where nobody listens nobody is ready', async t => {
  const path = join(tempRoot(t).path, 'nobody')
  await t.rejects(workerReady({ kind: 'unix', path }, never), { code: 'ENOENT' })
})
