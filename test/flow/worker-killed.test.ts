/** Workers that are killed under load cost at most the requests that they had, and others take their place. */
import t from 'tap'
import { fastCgiApp, fastCgiRoute, workersOf } from '../support/fastcgi-route.js'
import { children, commandOf, isAlive, untilEnded } from '../support/processes.js'
import { startTestServer } from '../support/serve.js'
import { waitFor, within } from '../support/wait-for.js'

t.test(
  'twenty workers killed under load: at most one request each, the rest is answered',
  async t => {
    const server = await startTestServer(t, {
      routes: () => [fastCgiRoute('/w/', { backend: workersOf(2) })],
    })
    const answered = new Map<number, number>()
    const failures: string[] = []
    let going = true
    const client = async (): Promise<void> => {
      const connection = await server.connect()
      while (going) {
        connection.request('/w/?slow')
        const response = await connection.response()
        if (response.status !== 200) failures.push(`${response.status} ${response.text()}`)
        else {
          const pid = Number.parseInt(response.text(), 10)
          answered.set(pid, (answered.get(pid) ?? 0) + 1)
        }
      }
      connection.destroy()
    }
    const clients = Array.from({ length: 4 }, client)
    const kills = 20
    const killed: number[] = []
    for (let i = 0; i < kills; i++) {
      // Another each time, and one that works: a pid that has answered.
      const victim = await waitFor('a worker has answered', () =>
        [...answered.keys()].find(pid => !killed.includes(pid) && isAlive(pid)),
      )
      killed.push(victim)
      process.kill(victim, 'SIGKILL')
      await untilEnded(victim)
    }
    await waitFor('two that live have answered', () => {
      const living = [...answered.keys()].filter(pid => !killed.includes(pid))
      return living.length >= 2
    })
    going = false
    await within('the clients are done', Promise.all(clients))
    t.ok(failures.length <= kills, `${failures.length} failures for ${kills} kills`)
    for (const failure of failures) t.match(failure, /^502 /, 'it was at a worker that died')
    t.ok(answered.size >= kills + 2, 'each was replaced')
    const ended = server.records.filter(({ message }) => message === 'a worker failed')
    t.same(ended.map(({ fields }) => fields.pid).sort(), [...killed].sort(), 'a line for each')
    t.match(ended[0]?.fields, { end: 'it ended with signal SIGKILL', delayMs: 100 })
  },
)

t.test('a crash loop waits longer each time, and the server goes on', async t => {
  const server = await startTestServer(t, {
    routes: () => [fastCgiRoute('/w/', { backend: workersOf(1) })],
  })
  const delays: unknown[] = []
  const pauses: number[] = []
  let killedAt = 0
  for (let i = 0; i < 4; i++) {
    const pid = await waitFor('a worker runs', () =>
      children().find(each => isAlive(each) && commandOf(each).includes(fastCgiApp)),
    )
    if (killedAt > 0) pauses.push(performance.now() - killedAt)
    killedAt = performance.now()
    process.kill(pid, 'SIGKILL')
    const line = await waitFor('its end is logged', () =>
      server.records.find(
        ({ message, fields }) => message === 'a worker failed' && fields.pid === pid,
      ),
    )
    delays.push(line.fields.delayMs)
  }
  t.same(delays, [100, 200, 400, 800])
  for (const [i, least] of [100, 200, 400].entries()) t.ok((pauses[i] ?? 0) >= least)
  t.equal((await server.request('/')).status, 404, 'other routes are not touched')
  t.equal((await server.request('/w/')).status, 200, 'and the request waits for the next worker')
})
