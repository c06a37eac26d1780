/**
 * Two thousand requests, two hundred at a time, every third client leaving somewhere on the way: nothing
 * is left behind and the server goes on (promise 2 of the design; F-5, F-7).
 */
import { readdirSync } from 'node:fs'
import t from 'tap'
import { defaultRouteLimits } from '../../src/server/config.js'
import { children, openDescriptors } from '../support/processes.js'
import { plainHead, program, shell } from '../support/programs.js'
import { chunkBytes, RawConnection, requestBytes } from '../support/raw-http.js'
import { startTestServer, type TestServer } from '../support/serve.js'
import { eachSpawner } from '../support/spawners.js'
import { waitFor } from '../support/wait-for.js'

const requests = Number(process.env.POSTERN_STORM ?? 2_000)
const atOnce = 200
const deadlineMs = 120_000

t.setTimeout(3 * deadlineMs)

const scripts = {
  'hello.cgi': shell(plainHead, 'echo hello'),
  'echo.cgi': program('echo.sh'),
  'slow.cgi': shell(plainHead, 'echo begun', 'sleep 0.1', 'echo done'),
} as const

const body = Buffer.alloc(20_000, 'x')
const chunkedHead =
  'POST /cgi-bin/echo.cgi HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'

/** What client number `i` sends: it depends on nothing but the number, so that a failure comes again. */
function bytesOf(i: number): Buffer {
  switch (i % 4) {
    case 0:
      return requestBytes('/cgi-bin/hello.cgi')
    case 1:
      return requestBytes('/cgi-bin/echo.cgi', { method: 'POST', body })
    case 2:
      return Buffer.concat([Buffer.from(chunkedHead), chunkBytes(body), chunkBytes('')])
    default:
      return requestBytes('/cgi-bin/slow.cgi')
  }
}

type Outcome = 'left' | number

/** Sends one request; every third client leaves: at once, halfway through its bytes, or at the first byte. */
async function one(server: TestServer, i: number, open: OpenConnection): Promise<Outcome> {
  const connection = await open(server.origin)
  const bytes = bytesOf(i)
  if (i % 3 !== 0) {
    connection.send(bytes)
    const response = await connection.response({}, deadlineMs)
    connection.destroy()
    if (response.truncated) throw new Error(`the answer to request ${i} broke off`)
    return response.status
  }
  const way = (i / 3) % 3
  if (way === 0) {
    connection.send(bytes)
  } else if (way === 1) {
    connection.send(bytes.subarray(0, bytes.length / 2))
  } else {
    connection.send(bytes)
    const answer = connection.response({ onData: () => connection.destroy() }, deadlineMs)
    await answer.catch(() => {})
  }
  connection.destroy()
  return 'left'
}

type OpenConnection = (origin: string) => Promise<RawConnection>

await eachSpawner(t, 'a storm of clients, a third of which leave', async (t, spawner) => {
  const before = process.env.TMPDIR
  const temporary = t.testdir()
  process.env.TMPDIR = temporary
  t.teardown(() => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  })
  // Every chunked body goes to a file; the line is long enough for everybody.
  const limits = { ...defaultRouteLimits, spoolMemoryBytes: 1024 }
  const route = { processes: 32, queue: { length: 512, waitMs: deadlineMs }, limits }
  const server = await startTestServer(t, { scripts, spawner, route })
  const calm = { descriptors: openDescriptors().size, children: children().length }

  // Teardown hooks by the thousand would be slow to run; every connection ends in `one`.
  const open: OpenConnection = origin => RawConnection.open({ teardown: () => {} }, origin)
  const counts = new Map<Outcome, number>()
  let next = 0
  const client = async (): Promise<void> => {
    while (next < requests) {
      const outcome = await one(server, next++, open)
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, client))

  const left = Math.ceil(requests / 3)
  t.strictSame(
    Object.fromEntries(counts),
    { left, 200: requests - left },
    'everybody else is served',
  )
  await waitFor('every process is gone', () => children().length <= calm.children, 20_000)
  await waitFor('every descriptor is closed', () => openDescriptors().size <= calm.descriptors)
  t.strictSame(
    readdirSync(temporary).filter(name => !/^postern-(test|pipes)-/.test(name)),
    [],
    'no temporary file',
  )
  t.same(
    server.records.filter(record => record.level === 'error'),
    [],
    'no errors',
  )

  // All 32 places at once, and nobody may wait: a place that was not given back would show.
  const answers = await Promise.all(
    Array.from({ length: 32 }, () => server.request('/cgi-bin/slow.cgi')),
  )
  for (const { status } of answers) if (status !== 200) t.fail(`afterwards: ${status}`)
  const served = requests - left + answers.length
  await waitFor('everybody who was served has an access line', () => {
    return server.access.filter(line => line.includes('"status":200')).length >= served
  })
  // A client that left may have been gone before its request was read, but nobody is counted twice.
  t.ok(server.access.length <= requests + answers.length, `${server.access.length} access lines`)
})
