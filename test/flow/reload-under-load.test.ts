/** A rolling reload under load: every request is answered, by workers of before or of after. */
import t from 'tap'
import { fastCgiRoute, workersOf } from '../support/fastcgi-route.js'
import { isAlive, untilEnded } from '../support/processes.js'
import { startTestServer } from '../support/serve.js'
import { waitFor, within } from '../support/wait-for.js'

t.test('three reloads, eight clients, none lost', async t => {
  const server = await startTestServer(t, {
    routes: () => [fastCgiRoute('/w/', { backend: workersOf(2) })],
  })
  const answered = new Map<string, number>()
  const failures: string[] = []
  let going = true
  const client = async (): Promise<void> => {
    const connection = await server.connect()
    while (going) {
      connection.request('/w/?slow')
      const response = await connection.response()
      if (response.status !== 200) failures.push(`${response.status} ${response.text()}`)
      const [pid = ''] = response.text().split(' ')
      answered.set(pid, (answered.get(pid) ?? 0) + 1)
    }
    connection.destroy()
  }
  const clients = Array.from({ length: 8 }, client)
  await waitFor('the first ones have answered', () => answered.size === 2)
  for (const reload of [1, 2, 3]) {
    const before = [...answered.keys()].map(Number).filter(isAlive)
    await within(`reload ${reload}`, server.running.reload(), 20_000)
    for (const pid of before) await untilEnded(pid)
    await waitFor('the new ones have answered', () => answered.size === 2 + 2 * reload)
  }
  going = false
  await within('the clients are done', Promise.all(clients))
  t.strictSame(failures, [])
  t.equal(answered.size, 8)
})

t.test('reloads at the same time are one after another, and all settle', async t => {
  const server = await startTestServer(t, {
    routes: () => [fastCgiRoute('/w/', { backend: workersOf(1) })],
  })
  const first = (await server.request('/w/')).text()
  await within(
    'all reloads',
    Promise.all([server.running.reload(), server.running.reload(), server.running.reload()]),
    20_000,
  )
  const second = (await server.request('/w/')).text()
  t.not(second, first)
})
