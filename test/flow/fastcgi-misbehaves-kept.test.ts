/**
 * An application that closes kept connections whenever it likes (conventions G-19): nobody notices but a
 * request that was under way on one of them and is not safe to repeat, and that one is never sent twice.
 */
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { mixedWork, type Outcome, runClient } from '../../bench/chaos-client.js'
import { fastCgiRoute } from '../support/fastcgi-route.js'
import { startWorker } from '../support/fastcgi-worker.js'
import { startTestServer } from '../support/serve.js'
import { waitFor } from '../support/wait-for.js'

t.test('G-19 kept connections closed at random under load', async t => {
  const worker = await startWorker(t)
  const { address } = worker
  const server = await startTestServer(t, {
    routes: () => [fastCgiRoute('/app/', { address, capacity: 4 })],
  })
  const outcomes: Outcome[] = []
  const until = performance.now() + 1_500
  const going = (): boolean => performance.now() < until
  const clients = Array.from({ length: 8 }, (_, at) =>
    runClient(`${server.origin}/app`, `c${at}`, mixedWork, going, each => outcomes.push(each)),
  )
  let closed = 0
  while (going()) {
    await pause(Math.random() * 4)
    // All that have had an answer: this application answers as soon as it has a head.
    const kept = new Set(worker.requests.slice(-20).map(({ socket }) => socket))
    const open = [...kept].filter(socket => !socket.destroyed)
    const victim = open[Math.floor(Math.random() * open.length)]
    if (victim === undefined) continue
    victim.destroy()
    closed++
  }
  await Promise.all(clients)

  const seen = new Map<string, number>()
  for (const { params } of worker.requests) {
    const [, , id = ''] = (params.get('PATH_INFO') ?? '').split('/')
    seen.set(id, (seen.get(id) ?? 0) + 1)
  }
  const failed = outcomes.filter(({ status, whole }) => status !== 200 || !whole)
  t.strictSame(
    failed.filter(({ method }) => method !== 'POST'),
    [],
  )
  for (const { id, method, text, status } of outcomes) {
    if (status === 200 && !text.endsWith(`/${id}`)) t.fail(`${id} has the answer ${text}`)
    if (method === 'POST' && (seen.get(id) ?? 0) > 1) t.fail(`${id} was sent twice`)
  }
  const again = worker.requests.length - seen.size
  t.comment(
    `${closed} closed, ${outcomes.length} requests, ${again} sent again, ${failed.length} failed`,
  )
  t.ok(closed > 50, `${closed} were closed`)
  t.ok(outcomes.length > 200, `${outcomes.length} requests, ${failed.length} of them failed`)
  t.ok(failed.length < closed / 2, 'most of those that were closed carried nothing')
  await waitFor('no more connections than places', () => worker.open <= 4)
})

t.test('G-14 a second answer that comes late, between two requests, is nobody’s', async t => {
  const worker = await startWorker(t)
  const { address } = worker
  const server = await startTestServer(t, {
    routes: () => [fastCgiRoute('/app/', { address, capacity: 1 })],
  })
  t.equal((await server.request('/app/one')).text(), '/one')
  worker.requests[0]?.answer('Status: 500\r\n\r\nagain')
  // What was sent before has been read when this has: there is one connection.
  t.equal((await server.request('/app/two')).text(), '/two')
  t.equal((await server.request('/app/three')).text(), '/three')
})
