/**
 * One of two HTTP servers behind a route is killed under load: requests that may be sent again are answered by
 * the other (H-16), and the dead one is left out.
 */
import t from 'tap'
import { startHttpProgram } from '../support/http-program.js'
import { untilGone } from '../support/processes.js'
import { proxyRoute } from '../support/proxy-route.js'
import { startTestServer } from '../support/serve.js'
import { waitFor } from '../support/wait-for.js'

t.test('H-16 kill -9 under load costs no request that may be repeated', async t => {
  const server = await startTestServer(t, {
    routes: root => [
      proxyRoute(
        '/app/',
        ['a', 'b'].map(name => ({ kind: 'unix', path: `${root.path}/${name}.sock` }) as const),
      ),
    ],
  })
  const a = await startHttpProgram(t, server.root, 'a')
  const b = await startHttpProgram(t, server.root, 'b')
  const seen = new Map<string, number>()
  const statuses = new Map<number, number>()
  let stop = false
  const client = async (): Promise<void> => {
    const connection = await server.connect()
    while (!stop) {
      connection.request('/app/pid')
      const { status, text } = await connection.response()
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      seen.set(text(), (seen.get(text()) ?? 0) + 1)
    }
    connection.destroy()
  }
  const clients = Array.from({ length: 16 }, client)
  await waitFor('both have answered', () => seen.has(String(a)) && seen.has(String(b)))
  process.kill(a, 'SIGKILL')
  await untilGone(a)
  const before = seen.get(String(b)) ?? 0
  await waitFor('the other goes on', () => (seen.get(String(b)) ?? 0) > before + 500)
  stop = true
  await Promise.all(clients)
  t.strictSame([...statuses.keys()], [200])
  t.match((await server.recordOf('left out for a while')).fields, { upstream: /a\.sock$/ })
})
