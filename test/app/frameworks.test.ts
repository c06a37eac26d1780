/**
 * Frameworks run unmodified: what their own machinery needs of req and res is there, body parsers and
 * streams included.
 */
import { createReadStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import express from 'express'
import Koa from 'koa'
import t, { type Test } from 'tap'
import { createServer, type RequestHandler, variablesOf } from '../../src/fastcgi.js'
import { Peer, request, type Variables } from '../fastcgi/responder-peer.js'
import { tempRoot } from '../support/temp-root.js'
import { within } from '../support/wait-for.js'

interface Answer {
  readonly head: string
  readonly body: string
}

const thisFile = fileURLToPath(import.meta.url)

async function serve(t: Test, handler: RequestHandler) {
  const server = createServer(handler)
  const path = join(tempRoot(t).path, 'app.sock')
  await server.listen(path)
  t.teardown(() => within('the server is closed', server.close()))
  const peer = await Peer.open(t, path)
  return async (uri: string, variables: Variables = {}, body = ''): Promise<Answer> => {
    peer.send(request(1, { REQUEST_URI: uri, ...variables }, body, 1))
    const { stdout } = await peer.answer()
    const end = stdout.indexOf('\r\n\r\n')
    return { head: stdout.slice(0, end + 2), body: stdout.slice(end + 4) }
  }
}

t.test('an Express application', async t => {
  const app = express()
  app.use(express.json({ limit: '1mb' }), express.urlencoded({ extended: false }))
  app.get('/hello/:name', (req, res) => {
    res
      .cookie('a', 'b')
      .send(`hello ${req.params.name} at ${req.ip}, ${req.protocol}, ${req.query.q}`)
  })
  app.post('/json', (req, res) => void res.status(201).json(req.body))
  app.post('/form', (req, res) => void res.json(req.body))
  app.get('/file', (_req, res) => res.sendFile(thisFile))
  app.get('/redirect', (_req, res) => res.redirect('/hello/you'))
  app.get('/throws', () => {
    throw new Error('in a route')
  })
  app.get('/variables', (req, res) => void res.send(variablesOf(req).get('SCRIPT_NAME')))
  app.use((_req, res) => void res.status(404).send('nothing'))
  app.use(((error, _req, res, _next) => {
    res.status(500).send(`caught: ${error.message}`)
  }) as express.ErrorRequestHandler)
  const ask = await serve(t, app)

  const hello = await ask('/hello/you?q=1', { REMOTE_ADDR: '10.1.2.3', HTTPS: 'on' })
  t.match(hello.head, /^Status: 200 OK\r\n/)
  t.match(hello.head, /^Set-Cookie: a=b; Path=\/\r$/m)
  t.equal(hello.body, 'hello you at 10.1.2.3, https, 1')
  const etag = /^ETag: (.*)\r$/m.exec(hello.head)?.[1] ?? ''
  const again = await ask('/hello/you?q=1', {
    ...{ REMOTE_ADDR: '10.1.2.3', HTTPS: 'on', HTTP_IF_NONE_MATCH: etag },
  })
  t.match(again, { head: /^Status: 304 Not Modified\r\n/, body: '' })

  const json = JSON.stringify({ text: 'x'.repeat(200_000) })
  const posted = await ask('/json', { CONTENT_TYPE: 'application/json' }, json)
  t.match(posted, { head: /^Status: 201 Created\r\n/, body: json })
  const form = { CONTENT_TYPE: 'application/x-www-form-urlencoded' }
  t.equal((await ask('/form', form, 'a=1&b=%20')).body, '{"a":"1","b":" "}')

  const file = readFileSync(thisFile, 'latin1')
  t.equal((await ask('/file')).body, file)
  const part = await ask('/file', { HTTP_RANGE: 'bytes=3-9' })
  t.match(part, { head: /^Status: 206 Partial Content\r\n/, body: file.slice(3, 10) })
  t.match(await ask('/file', { REQUEST_METHOD: 'HEAD' }), { head: /Content-Length: \d/, body: '' })

  t.match((await ask('/redirect')).head, /^Status: 302 Found\r\n[\s\S]*Location: \/hello\/you\r\n/)
  t.match(await ask('/throws'), { head: /^Status: 500 /, body: 'caught: in a route' })
  t.match(await ask('/none'), { head: /^Status: 404 /, body: 'nothing' })
  t.equal((await ask('/variables', { SCRIPT_NAME: '/app' })).body, '/app')
  const bad = await ask('/json', { CONTENT_TYPE: 'application/json' }, '{')
  t.match(bad, { head: /^Status: 500 /, body: /caught: / }, 'a body parser’s error')
})

t.test('a Koa application', async t => {
  const app = new Koa()
  app.silent = true
  app.use(async ctx => {
    switch (ctx.path) {
      case '/text':
        ctx.body = `${ctx.method} ${ctx.ip} ${ctx.querystring}`
        return
      case '/stream':
        ctx.type = 'text/plain'
        ctx.body = createReadStream(thisFile)
        return
      case '/echo': {
        const chunks: Buffer[] = []
        for await (const chunk of ctx.req) chunks.push(chunk as Buffer)
        ctx.body = Buffer.concat(chunks)
        return
      }
      case '/throw':
        ctx.throw(418, 'short and stout')
    }
  })
  const ask = await serve(t, app.callback())
  const text = await ask('/text?a=b', { REMOTE_ADDR: '::1' })
  t.match(text, { head: /^Status: 200 OK\r\n/, body: 'GET ::1 a=b' })
  t.equal((await ask('/stream')).body, readFileSync(thisFile, 'latin1'))
  const body = 'y'.repeat(300_000)
  t.equal((await ask('/echo', {}, body)).body, body)
  t.match(await ask('/throw'), { head: /^Status: 418 I'm a Teapot\r\n/, body: 'short and stout' })
  t.match((await ask('/none')).head, /^Status: 404 /)
})
