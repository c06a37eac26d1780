/**
 * Bodies larger than memory would like, through `postern serve` and workers of two libraries: the server
 * streams or spools and stays small, and so does a worker of our own responder (promise 4 of the design).
 * 128 MiB each way, or 1 GiB with POSTERN_LARGE=1.
 */
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { postern } from '../cli/command.js'
import { growthLimit, growthOf, largeBytes, largeDeadlineMs, pour } from '../support/memory.js'
import { libfcgiProgram } from '../support/peers.js'
import { bytesWritten, children, commandOf } from '../support/processes.js'
import { chunkBytes, RawConnection, requestBytes } from '../support/raw-http.js'
import { tempRoot } from '../support/temp-root.js'
import { settled, waitFor } from '../support/wait-for.js'

const MiB = 1024 * 1024
const sourceOf = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/programs/fastcgi/${name}`, import.meta.url))

t.setTimeout(10 * largeDeadlineMs)

async function suite(t: Test, command: readonly string[]): Promise<void> {
  const root = tempRoot(t)
  const route = `{ path: /w/, fastcgi: { command: ${JSON.stringify(command)}, workers: 1 } }`
  root.script('postern.yaml', `listen: 127.0.0.1:0\nlog: { access: off }\nroutes: [${route}]\n`)
  const server = postern(t, root.cgi, [])
  const origin = await server.origin()
  const open = async (): Promise<RawConnection> => await RawConnection.open(t, origin)

  // The first request loads code; what it needs is not the body's.
  const first = await open()
  first.request('/w/count', { method: 'POST', body: 'warm' })
  t.equal((await first.response()).text(), '4\n4\n')
  const [worker = 0] = children(server.pid).filter(pid => commandOf(pid) === command.join(' '))
  const growths = { server: growthOf(server.pid), worker: growthOf(worker) }
  const staySmall = (t: Test): void => {
    for (const [name, growth] of Object.entries(growths)) {
      const grown = growth()
      const said = `the ${name} grew by ${Math.round(grown / MiB)} MiB for ${largeBytes / MiB}`
      t.ok(grown < growthLimit, said)
      t.comment(said)
    }
  }

  const head = 'POST /w/count HTTP/1.1\r\nHost: a\r\n'
  const counted = `${largeBytes}\n${largeBytes}\n`
  await t.test('D-8 up, with a length', async t => {
    const connection = await open()
    connection.send(`${head}Content-Length: ${largeBytes}\r\n\r\n`)
    await pour(connection, bytes => bytes)
    t.equal((await connection.response({}, largeDeadlineMs)).text(), counted)
    staySmall(t)
  })

  await t.test('D-2 up, chunked', async t => {
    const connection = await open()
    connection.send(`${head}Transfer-Encoding: chunked\r\n\r\n`)
    await pour(connection, chunkBytes)
    connection.send(chunkBytes(''))
    t.equal((await connection.response({}, largeDeadlineMs)).text(), counted)
    staySmall(t)
  })

  await t.test('down', async t => {
    const connection = await open()
    connection.request(`/w/pour?${largeBytes}`)
    let count = 0
    const onData = (chunk: Buffer): void => {
      count += chunk.length
    }
    const response = await connection.response({ onData }, largeDeadlineMs)
    t.equal(count, largeBytes)
    t.equal(response.truncated, false)
    staySmall(t)
  })

  await t.test('down, to a client that does not read: the worker has to wait', async t => {
    const before = bytesWritten(worker)
    const client = connect(Number(new URL(origin).port), '127.0.0.1').pause()
    t.teardown(() => client.destroy())
    client.write(requestBytes(`/w/pour?${largeBytes}`))
    await waitFor('the worker writes', () => bytesWritten(worker) > before + MiB)
    const written = await settled('what it writes', () => bytesWritten(worker))
    t.ok(written - before < growthLimit / 4, `${written - before} bytes`)
    staySmall(t)
  })
}

t.test('our responder', async t => {
  const node = [process.execPath, `--import=${import.meta.resolve('tsx')}`]
  await suite(t, [...node, sourceOf('behaviours.ts')])
})

const compiled = libfcgiProgram(t, sourceOf('behaviours.c'), tempRoot(t).path)
if (compiled !== undefined) t.test('libfcgi', async t => await suite(t, [compiled]))
