/**
 * Flask and Django as a user runs them: a wsgi route with a prefix, Django's static files from Postern's own
 * root. Sessions, forms with their tokens, 20 MB uploads, streamed answers, mistakes of the application.
 */
import { createHash, randomBytes } from 'node:crypto'
import t from 'tap'
import { djangoSite } from '../support/django.js'
import { pythonWith } from '../support/python.js'
import type { RawResponse } from '../support/raw-response.js'
import { startTestServer } from '../support/serve.js'
import { SiteVisitor } from '../support/site-visitor.js'
import { testWsgiRoute } from '../support/wsgi-route.js'

const jsonOf = (response: RawResponse): unknown => JSON.parse(response.text())
const file = randomBytes(20 * 1024 * 1024)
const sha1 = createHash('sha1').update(file).digest('hex')
const streamed = 64 * 65_536

for (const mode of ['workers', 'cgi'] as const) {
  t.test(`Flask, mode ${mode}`, async t => {
    const python = pythonWith(t, 'flask')
    if (python === undefined) return
    const server = await startTestServer(t, {
      routes: () => [testWsgiRoute('/f/', python, 'flask_app:app', { mode })],
    })
    const visitor = new SiteVisitor(server)
    t.equal((await visitor.get('/f/')).text(), 'hello from /f')
    t.match(jsonOf(await visitor.get('/f/count')), { count: 1, user: null })
    const authorization = 'Authorization: Basic c29tZWJvZHk6eA=='
    t.match(jsonOf(await visitor.get('/f/count', [authorization])), { count: 2, user: 'somebody' })
    const posted = await visitor.post('/f/form', { name: 'Zoë' })
    t.equal(posted.status, 302)
    t.match(posted.header('location'), /\/f\/form\?name=Zo%C3%AB$/)
    t.equal(
      Buffer.from((await visitor.get('/f/form?name=Zo%C3%AB')).body).toString(),
      'name is Zoë',
    )
    t.match(jsonOf(await visitor.upload('/f/upload', 'a title', file)), {
      ...{ size: file.length, sha1, title: 'a title' },
    })
    const connection = await server.connect()
    connection.send('PUT /f/raw HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    connection.send('3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n')
    t.match(jsonOf(await connection.response()), { size: 5, length: 5 }, 'L-2')
    t.equal((await visitor.get('/f/stream')).body.length, streamed)
    t.equal((await visitor.get('/f/broken')).status, 500)
    t.ok(await server.recordOf('LookupError: the view is broken'))
    t.equal((await server.request('/f/', { method: 'HEAD' })).status, 200)
    t.equal((await visitor.get('/f/nothing')).status, 404)
  })
}

t.test('Django: sessions, the admin with its token, static files, uploads', async t => {
  const site = djangoSite(t)
  if (site === undefined) return
  const { python, application, directory, env, root } = site
  const server = await startTestServer(t, {
    routes: () => [
      testWsgiRoute('/site/', python, application, {
        ...{ directory, env: { set: env, pass: [] }, count: 2 },
      }),
    ],
    config: { root },
  })
  const visitor = new SiteVisitor(server)
  t.match(jsonOf(await visitor.get('/site/count/')), { count: 1, path: '/site/count/' })
  t.match(jsonOf(await visitor.get('/site/count/')), { count: 2, secure: false })

  const asked = await visitor.get('/site/admin/')
  t.equal(asked.status, 302)
  const login = asked.header('location') ?? ''
  t.equal(login, '/site/admin/login/?next=/site/admin/')
  const page = (await visitor.get(login)).text()
  const token = /name="csrfmiddlewaretoken" value="([^"]+)"/.exec(page)?.[1] ?? ''
  const style = /href="(\/static\/admin\/css\/base\.css)"/.exec(page)?.[1] ?? ''
  t.match((await visitor.get(style)).header('content-type'), 'text/css')

  const fields = { username: 'admin', password: 'secret', next: '/site/admin/' }
  t.equal((await visitor.post(login, fields)).status, 403, 'without the token')
  const wrong = { ...fields, password: 'wrong', csrfmiddlewaretoken: token }
  t.match((await visitor.post(login, wrong)).text(), 'Please enter the correct username')
  const entered = await visitor.post(login, { ...fields, csrfmiddlewaretoken: token })
  t.equal(entered.status, 302)
  t.equal(entered.header('location'), '/site/admin/')
  t.type(visitor.cookie('sessionid'), 'string')
  t.match((await visitor.get('/site/admin/')).text(), 'Site administration')
  t.match((await visitor.get('/site/admin/auth/user/')).text(), 'admin@example.test')

  const csrf = (await visitor.get('/site/upload/')).text()
  const sent = await visitor.upload('/site/upload/', 'a title', file, [`X-CSRFToken: ${csrf}`])
  t.match(jsonOf(sent), { size: file.length, sha1, title: 'a title' })
  t.equal((await visitor.get('/site/stream/')).body.length, streamed)
  t.equal((await visitor.get('/site/broken/')).status, 500)
  t.ok(await server.recordOf('LookupError: the view is broken'))
})
