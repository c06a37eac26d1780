/**
 * How the process was started decides how it serves (conventions G-40, G-55): a listening socket on
 * descriptor 0, or a CGI environment; anything else is a mistake that is named.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { renameSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { head, Peer, request } from '../fastcgi/responder-peer.js'
import { netstring, ScgiPeer } from '../scgi/responder-peer.js'
import { record, STDIN, stream } from '../support/fastcgi-bytes.js'
import { isAlive } from '../support/processes.js'
import { shell } from '../support/programs.js'
import { startTestServer } from '../support/serve.js'
import { tempRoot } from '../support/temp-root.js'
import { waitFor, within } from '../support/wait-for.js'

const tsx = import.meta.resolve('tsx')
const program = fileURLToPath(new URL('../fixtures/programs/responder-app.mjs', import.meta.url))
const args = ['--import', tsx, program]

type Stdin = 'ignore' | 'pipe' | number

/** Starts the program; killed in teardown if it still runs. */
function start(
  t: Test,
  stdin: Stdin,
  env: Readonly<Record<string, string>> = {},
): { child: ChildProcess; output: { out: string; err: string } } {
  const child = spawn(process.execPath, args, {
    stdio: [stdin, 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, ...env },
  })
  t.teardown(() => child.kill('SIGKILL'))
  const output = { out: '', err: '' }
  child.stdout?.on('data', chunk => {
    output.out += String(chunk)
  })
  child.stderr?.on('data', chunk => {
    output.err += String(chunk)
  })
  return { child, output }
}

/** The descriptor of a listening server: net has no public name for it. */
function descriptorOf(server: Server): number {
  return (server as unknown as { _handle: { fd: number } })._handle.fd
}

/** The program on a listening socket that this process does not accept from any more. */
async function startOnSocket(
  t: Test,
  kind: 'unix' | 'tcp',
  env: Readonly<Record<string, string>> = {},
): Promise<{ child: ChildProcess; where: string | number }> {
  const server = createServer()
  const path = join(tempRoot(t).path, 'app.sock')
  if (kind === 'unix') server.listen(path)
  else server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const where = kind === 'unix' ? `${path}.moved` : (server.address() as AddressInfo).port
  const { child } = start(t, descriptorOf(server), env)
  // To close it would remove the socket's file.
  if (kind === 'unix') renameSync(path, String(where))
  server.close()
  return { child, where }
}

for (const kind of ['unix', 'tcp'] as const) {
  t.test(`G-40 descriptor 0 is a listening ${kind} socket: FastCGI`, async t => {
    const { child, where } = await startOnSocket(t, kind)
    const peer = await Peer.open(t, where)
    peer.send(request(1, { REQUEST_URI: '/x' }, 'four', 1))
    const { stdout } = await peer.answer()
    t.match(stdout, /"method":"POST","url":"\/x","bytes":4,"length":"4"/)
    t.match(stdout, new RegExp(`"pid":${child.pid}}`))
  })
}

t.test('G-55 TERM: stops accepting, finishes, exits with 0', async t => {
  const { child, where } = await startOnSocket(t, 'unix')
  const peer = await Peer.open(t, where)
  peer.send(head(1, { CONTENT_LENGTH: '4' }), record(STDIN, 1, 'fo'))
  const other = await Peer.open(t, where)
  other.send(request(1))
  await other.answer()
  child.kill('SIGTERM')
  await waitFor('nobody accepts', () => refuses(String(where)))
  t.equal(isAlive(child.pid ?? 0), true, 'the request is still under way')
  peer.send(stream(STDIN, 1, 'ur'))
  t.match((await peer.answer()).stdout, /"bytes":4/)
  if (child.exitCode === null) await within('its end', once(child, 'exit'))
  t.equal(child.exitCode, 0)
})

t.test('G-55 as SCGI: descriptor 0, TERM, what has begun is finished, exits with 0', async t => {
  const { child, where } = await startOnSocket(t, 'unix', { PROTOCOL: 'scgi' })
  const peer = new ScgiPeer(t, where)
  peer.send(netstring({ REQUEST_METHOD: 'POST', REQUEST_URI: '/x' }, 4), 'fo')
  const other = new ScgiPeer(t, where)
  other.send(netstring())
  t.match(await other.answer(), /"bytes":0/)
  child.kill('SIGTERM')
  await waitFor('nobody accepts', () => refuses(String(where)))
  t.equal(isAlive(child.pid ?? 0), true, 'the request is still under way')
  peer.send('ur')
  t.match(await peer.answer(), /"method":"POST","url":"\/x","bytes":4/)
  if (child.exitCode === null) await within('its end', once(child, 'exit'))
  t.equal(child.exitCode, 0)
})

t.test('a connected socket as descriptor 0 is no listening one', async t => {
  const server = createServer(socket => socket.resume())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  await once(socket, 'connect')
  t.teardown(() => socket.destroy())
  const descriptor = (socket as unknown as { _handle: { fd: number } })._handle.fd
  const { child, output } = start(t, descriptor)
  const [code] = await within('its end', once(child, 'exit'))
  t.equal(code, 1)
  t.match(output.err, /descriptor 0 is not a listening socket, and GATEWAY_INTERFACE is not set/)
})

t.test('a CGI environment: one request on stdin and stdout, then the end', async t => {
  const variables = {
    ...{ GATEWAY_INTERFACE: 'CGI/1.1', REQUEST_METHOD: 'PUT', REQUEST_URI: '/y?q' },
    ...{ CONTENT_LENGTH: '6', HTTP_X_OWN: 'mine', REMOTE_ADDR: '10.0.0.7' },
  }
  const { child, output } = start(t, 'pipe', variables)
  // stdin is not ended: CONTENT_LENGTH says where the body is over.
  child.stdin?.write('sixsix')
  const [code] = await within('its end', once(child, 'close'))
  t.equal(code, 0)
  t.match(
    output.out,
    /^Status: 200 OK\r\nContent-Type: application\/json\r\nContent-Length: \d+\r\n\r\n/,
  )
  t.match(output.out, '"method":"PUT","url":"/y?q","bytes":6,"length":"6","own":"mine"')
})

t.test('as a script of Postern itself', async t => {
  const server = await startTestServer(t, {
    scripts: {
      'app.cgi': shell(`exec '${process.execPath}' --import '${tsx}' '${program}'`),
    },
    route: { timeouts: { firstByteMs: 30_000, idleMs: 30_000, totalMs: 0, graceMs: 1_000 } },
  })
  const plain = await server.request('/cgi-bin/app.cgi/x?a=b', { headers: ['X-Own: 1'] })
  t.match(JSON.parse(plain.text()), { method: 'GET', url: '/cgi-bin/app.cgi/x?a=b', own: '1' })
  const size = 2 * 1024 * 1024
  const posted = await server.request('/cgi-bin/app.cgi/x', {
    method: 'POST',
    body: Buffer.alloc(size),
  })
  t.match(JSON.parse(posted.text()), { method: 'POST', bytes: size })
  const big = await server.request(`/cgi-bin/app.cgi/big?${size}`)
  t.equal(big.body.length, size)
  const none = await server.request('/cgi-bin/app.cgi/none')
  t.equal(none.status, 404)
  const failed = await server.request('/cgi-bin/app.cgi/throw')
  t.equal(failed.status, 500)
  t.match(await server.recordOf('as it was told'), { message: /./ }, 'stderr has the stack')
})

function refuses(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', () => resolve(true))
  })
}
