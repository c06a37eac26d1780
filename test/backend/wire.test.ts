/**
 * What goes over the wire to SCGI and uwsgi applications, and how often: one write with the head and a small
 * body, a variable for every fact, a connection for each request.
 */
import t from 'tap'
import { startTestServer } from '../support/serve.js'
import { socketKinds, socketRoute, startSocketWorker } from '../support/socket-worker.js'

t.test('H-2, H-12 variables of SCGI: CONTENT_LENGTH, then SCGI, none twice', async t => {
  const worker = await startSocketWorker(t, 'scgi')
  const server = await startTestServer(t, {
    routes: () => [
      socketRoute('scgi', '/app/', [worker.address], {
        env: { set: { SCGI: '2', CONTENT_LENGTH: '99', QUERY_STRING: 'ours' }, pass: [] },
      }),
    ],
  })
  await server.request('/app?a=b')
  await server.request('/app/x', { method: 'POST', body: 'hello' })
  const [without, posted] = worker.requests
  t.strictSame(without?.pairs.slice(0, 4), ['CONTENT_LENGTH', '0', 'SCGI', '1'])
  t.equal(without?.variables.get('SCRIPT_NAME'), '/app')
  t.equal(without?.variables.get('PATH_INFO'), undefined)
  t.equal(without?.variables.get('QUERY_STRING'), 'ours', 'L-5 env.set wins')
  t.equal(posted?.variables.get('CONTENT_LENGTH'), '5', 'but not over the length')
  t.equal(posted?.variables.get('PATH_INFO'), '/x')
  t.equal((await posted?.body())?.toString(), 'hello')
  for (const { pairs } of worker.requests) {
    const names = pairs.filter((_, at) => at % 2 === 0)
    t.equal(new Set(names).size, names.length)
  }
})

t.test('H-6, H-12 variables of uwsgi: PATH_INFO always, CONTENT_LENGTH with a body', async t => {
  const worker = await startSocketWorker(t, 'uwsgi')
  const server = await startTestServer(t, {
    routes: () => [
      socketRoute('uwsgi', '/app/', [worker.address]),
      socketRoute('uwsgi', '/whole/', [worker.address], { modifier1: 30 }),
      socketRoute('uwsgi', '/perl/', [worker.address], { modifier1: 5 }),
    ],
  })
  await server.request('/app')
  await server.request('/app/x', { method: 'POST', body: 'hello' })
  await server.request('/whole/x')
  await server.request('/perl/x')
  const [bare, posted, whole, perl] = worker.requests
  t.equal(bare?.variables.get('PATH_INFO'), '')
  t.equal(bare?.variables.get('PATH_TRANSLATED'), undefined)
  t.equal(bare?.variables.get('CONTENT_LENGTH'), undefined)
  t.equal(posted?.variables.get('CONTENT_LENGTH'), '5')
  t.equal(whole?.variables.get('SCRIPT_NAME'), '/whole')
  t.equal(whole?.variables.get('PATH_INFO'), '/x', 'H-8 uWSGI leaves it as it is')
  t.strictSame(
    [bare, whole, perl].map(seen => [seen?.head[0], seen?.head[3]]),
    [
      [0, 0],
      [30, 0],
      [5, 0],
    ],
  )
})

t.test('B-19 Authorization: not to SCGI, to uwsgi', async t => {
  for (const kind of socketKinds) {
    const worker = await startSocketWorker(t, kind)
    const server = await startTestServer(t, {
      routes: () => [socketRoute(kind, '/app/', [worker.address])],
    })
    await server.request('/app/x', { headers: ['Authorization: Basic YTpi'] })
    const seen = worker.requests[0]?.variables.get('HTTP_AUTHORIZATION')
    t.equal(seen, kind === 'uwsgi' ? 'Basic YTpi' : undefined, kind)
  }
})

t.test('E-12 a local redirect is followed for SCGI and given to the client for uwsgi', async t => {
  for (const kind of socketKinds) {
    for (const localRedirects of [undefined, true, false]) {
      const worker = await startSocketWorker(t, kind, {
        '/from': request => request.answer('Location: /app/to\r\n\r\n'),
      })
      const changes = localRedirects === undefined ? {} : { localRedirects }
      const server = await startTestServer(t, {
        routes: () => [socketRoute(kind, '/app/', [worker.address], changes)],
      })
      const response = await server.request('/app/from')
      const isFollowed = localRedirects ?? kind === 'scgi'
      t.equal(response.status, isFollowed ? 200 : 302, `${kind} ${localRedirects}`)
      t.equal(response.header('location'), isFollowed ? undefined : '/app/to')
    }
  }
})

t.test('H-4, G-25 a status line is as good as a Status field', async t => {
  for (const kind of socketKinds) {
    const worker = await startSocketWorker(t, kind, {
      '/line': request => request.answer('HTTP/1.1 418 Teapot\r\nContent-Type: a/b\r\n\r\ntea'),
      '/early': ({ socket }) =>
        void socket.end('Status: 103\r\nLink: </a.css>\r\n\r\nStatus: 200\r\n\r\nthen'),
    })
    const server = await startTestServer(t, {
      routes: () => [socketRoute(kind, '/app/', [worker.address])],
    })
    const response = await server.request('/app/line')
    t.equal(response.status, 418)
    t.equal(response.reason, 'Teapot')
    t.equal(response.text(), 'tea')
    t.equal((await server.request('/app/early')).text(), 'then', 'E-23')
  }
})

t.test('H-7 more variables than a packet can hold: 431, and nobody is asked', async t => {
  const worker = await startSocketWorker(t, 'uwsgi')
  const server = await startTestServer(t, {
    routes: () => [
      socketRoute('uwsgi', '/app/', [worker.address], {
        env: { set: { BIG: 'x'.repeat(64_000) }, pass: [] },
      }),
    ],
  })
  const at = await server.request('/app/x')
  t.equal(at.status, 200)
  const past = await server.request('/app/x', { headers: [`X-A: ${'y'.repeat(2_000)}`] })
  t.equal(past.status, 431)
  t.equal((await server.accessFor('"status":431')).error, 'ENVIRONMENT_TOO_LARGE')
  t.equal(worker.connections, 1)
})
