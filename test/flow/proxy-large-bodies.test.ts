/**
 * Bodies larger than memory would like, through a proxy route: the server streams or spools, and stays small
 * (conventions D-2, D-8; promise 4 of the design). 128 MiB each way, or 1 GiB with POSTERN_LARGE=1.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startHttpProgram } from '../support/http-program.js'
import { growthLimit, growthOf, largeBytes, largeDeadlineMs, pour } from '../support/memory.js'
import { untilGone } from '../support/processes.js'
import { proxyRoute } from '../support/proxy-route.js'
import { chunkBytes, RawConnection } from '../support/raw-http.js'
import { tempRoot } from '../support/temp-root.js'
import { within } from '../support/wait-for.js'

const MiB = 1024 * 1024
const child = fileURLToPath(new URL('../support/server-child.ts', import.meta.url))

t.setTimeout(largeDeadlineMs)

/** A server in a process of its own, with routes as JSON, and what it says first. */
async function startServerChild(t: Test, routes: string): Promise<{ pid: number; origin: string }> {
  const server = spawn(process.execPath, ['--import=tsx', child, routes], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const pid = server.pid ?? 0
  t.teardown(async () => {
    server.stdin.end()
    await untilGone(pid, 15_000)
  })
  return { pid, origin: await within('its address', firstLine(server), 30_000) }
}

async function firstLine({ stdout }: ChildProcess): Promise<string> {
  let text = ''
  for await (const chunk of stdout ?? []) {
    text += String(chunk)
    if (text.includes('\n')) return text.slice(0, text.indexOf('\n'))
  }
  throw new Error('the server ended before it listened')
}

t.test(`${largeBytes / MiB} MiB up and down a proxy route, in bounded memory`, async t => {
  const root = tempRoot(t)
  await startHttpProgram(t, root, 'app')
  const route = proxyRoute('/app/', [{ kind: 'unix', path: `${root.path}/app.sock` }])
  const { pid, origin } = await startServerChild(t, JSON.stringify([route]))
  // The first request loads code; what it needs is not the body's.
  const first = await RawConnection.open(t, origin)
  first.request('/app/count', { method: 'POST', body: 'warm' })
  t.equal((await first.response()).text(), '4\n4\n')
  const growth = growthOf(pid)
  const staysSmall = (what: string): void => {
    const grown = growth()
    t.ok(grown < growthLimit, `${what}: grew by ${Math.round(grown / MiB)} MiB`)
  }
  const head = 'POST /app/count HTTP/1.1\r\nHost: a\r\n'
  const counted = `${largeBytes}\n${largeBytes}\n`

  first.send(`${head}Content-Length: ${largeBytes}\r\n\r\n`)
  await pour(first, bytes => bytes)
  t.equal((await first.response({}, largeDeadlineMs)).text(), counted)
  staysSmall('up, with a length')

  first.send(`${head}Transfer-Encoding: chunked\r\n\r\n`)
  await pour(first, chunkBytes)
  first.send(chunkBytes(''))
  t.equal((await first.response({}, largeDeadlineMs)).text(), counted)
  staysSmall('D-2 up, chunked')

  let count = 0
  first.request(`/app/pour?${largeBytes}`)
  const response = await first.response(
    {
      onData: chunk => {
        count += chunk.length
      },
    },
    largeDeadlineMs,
  )
  t.equal(count, largeBytes)
  t.equal(response.truncated, false)
  staysSmall('down')
})
