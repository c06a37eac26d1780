/**
 * Routes with files behind them: scripts by their suffix, files beside them, and what a filter is given
 * (conventions A-17, L-12, G-23).
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { FastCgiRoute } from '../../src/server/config.js'
import { DATA, STDIN } from '../support/fastcgi-bytes.js'
import { fastCgiRoute } from '../support/fastcgi-route.js'
import { type Script, type ScriptedWorker, startWorker } from '../support/fastcgi-worker.js'
import { startTestServer, type TestServer } from '../support/serve.js'
import { waitFor } from '../support/wait-for.js'

const files = {
  'site/app.php': '<?php',
  'site/style.css': 'a {}',
  'site/sub/index.php': '<?php',
  'site/large.txt': 'line of text\n'.repeat(20_000),
}

async function start(
  t: Test,
  changes: Partial<FastCgiRoute>,
  scripts: Readonly<Record<string, Script>> = {},
): Promise<{ readonly worker: ScriptedWorker; readonly server: TestServer }> {
  const worker = await startWorker(t, scripts)
  const { address } = worker
  const server = await startTestServer(t, {
    files,
    routes: root => [
      fastCgiRoute('/site/', { address, root: join(root.public, 'site'), ...changes }),
    ],
  })
  return { worker, server }
}

t.test(
  'A-17, L-12 scripts go to the application, files do not, directories get their slash',
  async t => {
    const { worker, server } = await start(t, { split: '.php', index: ['index.php'] })
    t.equal((await server.request('/site/app.php/more?x')).text(), '/more')
    const params = worker.requests[0]?.params
    const root = join(server.root.public, 'site')
    t.equal(params?.get('SCRIPT_FILENAME'), join(root, 'app.php'))
    t.equal(params?.get('SCRIPT_NAME'), '/site/app.php')
    t.equal(params?.get('PATH_INFO'), '/more')
    t.equal(params?.get('DOCUMENT_ROOT'), root)
    t.equal(params?.get('PATH_TRANSLATED'), join(root, 'more'))
    t.match(await server.accessFor('/site/app.php'), { script: join(root, 'app.php') })

    const style = await server.request('/site/style.css')
    t.equal(style.text(), 'a {}')
    t.match(style.header('content-type'), /text\/css/)
    const slash = await server.request('/site/sub?q')
    t.strictSame([slash.status, slash.header('location')], [301, '/site/sub/?q'])
    t.equal((await server.request('/site/style.css/x.php')).status, 404)
    t.equal(worker.requests.length, 1)
  },
)

t.test('G-23 a filter gets the file as DATA behind STDIN', async t => {
  const { worker, server } = await start(t, { role: 'filter' }, { '': () => {} })
  const sends: readonly (readonly [string, string | undefined])[] = [
    ['GET', undefined],
    ['POST', 'small'],
    ['PUT', 'x'.repeat(100_000)],
  ]
  for (const [method, body] of sends) {
    const before = worker.requests.length
    const connection = await server.connect()
    connection.request('/site/large.txt', body === undefined ? { method } : { method, body })
    const request = await waitFor('the request', () => worker.requests[before])
    const records = (type: number) => request.records.filter(seen => seen.type === type)
    await waitFor('DATA has ended', () => records(DATA).at(-1)?.content.length === 0)
    t.equal(request.role, 3)
    t.equal(request.params.get('FCGI_ROLE'), 'FILTER')
    const file = join(server.root.public, 'site/large.txt')
    t.equal(request.params.get('FCGI_DATA_LENGTH'), String(statSync(file).size))
    t.equal(
      request.params.get('FCGI_DATA_LAST_MOD'),
      String(Math.floor(statSync(file).mtimeMs / 1000)),
    )
    t.equal(
      Buffer.concat(records(DATA).map(seen => seen.content)).toString(),
      files['site/large.txt'],
    )
    t.equal(Buffer.concat(records(STDIN).map(seen => seen.content)).toString(), body ?? '')
    const order = request.records.map(seen => seen.type)
    t.ok(order.lastIndexOf(STDIN) < order.indexOf(DATA), 'STDIN first')
    request.answer('\r\nfiltered')
    t.equal((await connection.response()).text(), 'filtered')
  }
})
