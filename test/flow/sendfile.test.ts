/**
 * X-Sendfile: a program names a file, the server sends it, if it lies in a folder that the route allows
 * (conventions E-29).
 */
import { symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { shell } from '../support/programs.js'
import { type ServeOptions, startTestServer } from '../support/serve.js'
import { tempRoot } from '../support/temp-root.js'

const scripts = {
  'send.cgi': shell(
    `printf 'Content-Type: text/x\\nX-Sendfile: %s\\n\\nignored' "$DOCUMENT_ROOT/$QUERY_STRING"`,
  ),
  'accel.cgi': shell(
    `printf 'Content-Type: text/x\\nX-Accel-Redirect: %s\\n\\nignored' "$QUERY_STRING"`,
  ),
}
const files = { 'allowed/a.txt': '0123456789', 'other/b.txt': 'secret', 'allowedx/c.txt': 'secret' }

t.test('E-29 an ordinary header unless the route allows a folder', async t => {
  const server = await startTestServer(t, { scripts, files })
  const response = await server.request('/cgi-bin/send.cgi?allowed/a.txt')
  t.match(response.header('x-sendfile'), /allowed\/a\.txt$/)
  t.equal(response.text(), 'ignored')
})

t.test('E-29 a file of an allowed folder, whole and in part', async t => {
  const folder = tempRoot(t, {}, files)
  const server = await startTestServer(t, serving(folder.public))
  const whole = await server.request('/cgi-bin/send.cgi?allowed/a.txt')
  t.equal(whole.status, 200)
  t.equal(whole.text(), '0123456789')
  t.equal(whole.header('x-sendfile'), undefined)
  t.equal(whole.header('content-type'), 'text/x', 'the type is the program’s')
  t.ok(whole.header('etag'))

  const inside = await server.request('/cgi-bin/accel.cgi?/a.txt')
  t.equal(inside.text(), '0123456789', 'X-Accel-Redirect: a path below the folder')
  t.equal(inside.header('x-accel-redirect'), undefined)
  const climbing = await server.request('/cgi-bin/accel.cgi?/../other/b.txt')
  t.equal(climbing.status, 404, 'climbing out of the folder finds nothing')

  const range = await server.request('/cgi-bin/send.cgi?allowed/a.txt', {
    headers: ['Range: bytes=2-4'],
  })
  t.equal(range.status, 206)
  t.equal(range.text(), '234')
})

t.test('E-29 files elsewhere are 403', async t => {
  const folder = tempRoot(t, {}, files)
  writeFileSync(join(folder.path, 'outside'), 'secret')
  symlinkSync(join(folder.path, 'outside'), join(folder.public, 'allowed/link'))
  const server = await startTestServer(t, serving(folder.public))
  for (const name of [
    'other/b.txt',
    'allowed/../other/b.txt',
    'allowedx/c.txt',
    'allowed/link',
    `../../../../../../..${tmpdir()}`,
    'allowed',
  ]) {
    const response = await server.request(`/cgi-bin/send.cgi?${name}`)
    t.equal(response.status, 403, name)
    t.notMatch(response.text(), 'secret')
  }
})

function serving(folder: string): ServeOptions {
  return {
    scripts,
    config: { root: folder },
    route: { sendfile: [join(folder, 'allowed')] },
  }
}
