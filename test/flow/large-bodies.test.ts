/**
 * Bodies larger than memory would like: the server streams or spools, and stays small (conventions D-2,
 * D-8; promise 4 of the design). 128 MiB each way, or 1 GiB with POSTERN_LARGE=1.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { growthLimit, growthOf, largeBytes, largeDeadlineMs, pour } from '../support/memory.js'
import { untilGone } from '../support/processes.js'
import { plainHead, shell } from '../support/programs.js'
import { chunkBytes, RawConnection } from '../support/raw-http.js'
import { tempRoot } from '../support/temp-root.js'
import { within } from '../support/wait-for.js'

const MiB = 1024 * 1024
const size = largeBytes
const deadlineMs = largeDeadlineMs

t.setTimeout(deadlineMs)

const scripts = {
  'count.cgi': shell(plainHead, 'echo "$CONTENT_LENGTH"', 'wc -c'),
  'pour.cgi': shell(plainHead, `exec head -c ${size} /dev/zero`),
} as const

interface Subject {
  readonly pid: number
  readonly connect: () => Promise<RawConnection>
  /** Bytes of resident memory at the peak since the call before, above what it was then. */
  readonly growth: () => number
}

/** A server in a process of its own. */
async function startSubject(t: Test): Promise<Subject> {
  const root = tempRoot(t, scripts)
  const routes = [{ path: '/cgi-bin/', target: root.cgi, program: false }]
  const child = spawn(
    process.execPath,
    [
      '--import=tsx',
      fileURLToPath(new URL('../support/server-child.ts', import.meta.url)),
      JSON.stringify(routes),
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  const pid = child.pid ?? 0
  t.teardown(async () => {
    child.stdin.end()
    await untilGone(pid, 15_000)
  })
  const origin = await within('the server says its address', firstLine(child), 30_000)
  const connect = (): Promise<RawConnection> => RawConnection.open(t, origin)
  // The first request loads code; what it needs is not the body's.
  const first = await connect()
  first.request('/cgi-bin/count.cgi', { method: 'POST', body: 'warm' })
  t.equal((await first.response()).text(), '4\n4\n')
  return { pid, connect, growth: growthOf(pid) }
}

async function firstLine(child: ChildProcess): Promise<string> {
  let text = ''
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk)
    if (text.includes('\n')) return text.slice(0, text.indexOf('\n'))
  }
  throw new Error('the server ended before it listened')
}

function staysSmall(t: Test, subject: Subject): void {
  const grown = subject.growth()
  t.ok(grown < growthLimit, `grew by ${Math.round(grown / MiB)} MiB for ${size / MiB}`)
}

t.test(`${size / MiB} MiB up and down, in bounded memory`, { timeout: deadlineMs }, async t => {
  const subject = await startSubject(t)
  const head = 'POST /cgi-bin/count.cgi HTTP/1.1\r\nHost: a\r\n'

  await t.test('up, with a length', async t => {
    const connection = await subject.connect()
    connection.send(`${head}Content-Length: ${size}\r\n\r\n`)
    await pour(connection, bytes => bytes)
    t.equal((await connection.response({}, deadlineMs)).text(), `${size}\n${size}\n`)
    connection.destroy()
    staysSmall(t, subject)
  })

  await t.test('D-2 up, chunked', async t => {
    const connection = await subject.connect()
    connection.send(`${head}Transfer-Encoding: chunked\r\n\r\n`)
    await pour(connection, chunkBytes)
    connection.send(chunkBytes(''))
    t.equal((await connection.response({}, deadlineMs)).text(), `${size}\n${size}\n`)
    connection.destroy()
    staysSmall(t, subject)
  })

  await t.test('down', async t => {
    const connection = await subject.connect()
    connection.request('/cgi-bin/pour.cgi')
    let count = 0
    const response = await connection.response(
      {
        onData: chunk => {
          count += chunk.length
        },
      },
      deadlineMs,
    )
    t.equal(count, size)
    t.equal(response.truncated, false)
    connection.destroy()
    staysSmall(t, subject)
  })
})
