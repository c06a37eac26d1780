/**
 * A Perl PSGI application over FastCGI, run by plackup (FCGI.pm below Plack), behind a fastcgi route.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startProcess } from '../support/fastcgi-process.js'
import { fastCgiRoute } from '../support/fastcgi-route.js'
import { peer, perlWith } from '../support/peers.js'
import { startTestServer } from '../support/serve.js'
import { tempRoot } from '../support/temp-root.js'
import { accepts } from '../support/uwsgi.js'
import { waitFor } from '../support/wait-for.js'

const app = fileURLToPath(new URL('../fixtures/programs/plack/app.psgi', import.meta.url))
const plackup = peer(t, 'plackup')
const perl = perlWith(t, 'FCGI')

if (plackup !== undefined && perl !== undefined) {
  t.test('a PSGI application over FastCGI: variables, bodies, an answer in pieces', async t => {
    const path = join(tempRoot(t).path, 'plack.sock')
    startProcess(t, [perl, plackup, '-s', 'FCGI', '--listen', path, '--nproc', '2', app])
    await waitFor('plackup accepts', () => accepts(path), 30_000)
    const address = { kind: 'unix', path } as const
    const server = await startTestServer(t, {
      routes: () => [fastCgiRoute('/psgi/', { address, capacity: 2 })],
    })
    const env = (await server.request('/psgi/env?a=b', { headers: ['X-A: 1'] })).text()
    for (const line of ['SCRIPT_NAME=/psgi', 'PATH_INFO=/env', 'QUERY_STRING=a=b', 'HTTP_X_A=1']) {
      t.match(env, `${line}\n`)
    }
    const body = Buffer.alloc(300_000, 'body ')
    const echo = await server.request('/psgi/echo', { method: 'POST', body })
    t.equal(echo.status, 201)
    t.equal(echo.header('x-length'), '300000')
    t.equal(echo.body.equals(body), true)
    t.equal((await server.request('/psgi/stream')).text(), 'piece 1\npiece 2\npiece 3\n')
    const many = await Promise.all(Array.from({ length: 12 }, () => server.request('/psgi/none')))
    t.strictSame(new Set(many.map(({ status }) => status)), new Set([404]))
  })
}
