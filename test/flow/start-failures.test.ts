/**
 * Programs that cannot be started: a status, a record that says why in plain words, and a server that
 * goes on (conventions A-14, C-7, C-9).
 */
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { errorTable } from '../../src/errors.js'
import { SpawnError, type Spawner } from '../../src/process/spawner.js'
import { plainHead, shell } from '../support/programs.js'
import { cgiRoute, startTestServer } from '../support/serve.js'
import { eachSpawner } from '../support/spawners.js'

const hello = 'printf "Content-Type: text/plain\\n\\nhello"\n'

const failing = {
  'crlf.cgi': { content: `#!/bin/sh\r\n${hello}`, mode: 0o755 },
  'env-crlf.cgi': { content: `#!/usr/bin/env sh\r\n${hello}`, mode: 0o755 },
  'missing.cgi': { content: `#!/nowhere/interpreter\n${hello}`, mode: 0o755 },
  'no-line.cgi': { content: hello, mode: 0o755 },
  'empty.cgi': { content: '', mode: 0o755 },
  'folder.cgi': { content: `#!/\n${hello}`, mode: 0o755 },
  'mode.cgi': { content: `#!/bin/sh\n${hello}`, mode: 0o644 },
} as const

const good = { 'good.cgi': shell(plainHead, 'printf good') } as const

const rows: readonly (readonly [row: string, name: string, code: keyof typeof errorTable])[] = [
  ['C-7 a carriage return in the #! line', 'crlf', 'INTERPRETER_NOT_FOUND'],
  ['C-7 an interpreter that is not there', 'missing', 'INTERPRETER_NOT_FOUND'],
  ['C-7 no #! line', 'no-line', 'NO_INTERPRETER_LINE'],
  ['C-7 an empty file', 'empty', 'NO_INTERPRETER_LINE'],
  ['C-7 an interpreter that may not be executed', 'denied', 'EXEC_DENIED'],
  ['C-7 an interpreter that is a folder', 'folder', 'EXEC_DENIED'],
  ['A-14 a script without the execute bit', 'mode', 'SCRIPT_NOT_EXECUTABLE'],
]

await eachSpawner(t, 'C-7, A-14 one by one', async (t, spawner) => {
  const files = { 'not-a-program': 'text' }
  const server = await startTestServer(t, { scripts: { ...failing, ...good }, files, spawner })
  const notAProgram = join(server.root.public, 'not-a-program')
  server.root.script('denied.cgi', `#!${notAProgram}\n${hello}`)
  const connection = await server.connect()
  for (const [row, name, code] of rows) {
    connection.request(`/cgi-bin/${name}.cgi`)
    const response = await connection.response()
    t.equal(response.status, errorTable[code].status, row)
    t.notMatch(response.text(), /hello|interpreter|\/cgi-bin\//, 'strangers are told nothing')
    const record = await server.recordOf(code)
    t.match(JSON.stringify(record), `${name}.cgi`, `${row}: the record names the script`)
    t.match(JSON.stringify(record), errorTable[code].sentence.slice(0, 20), 'in plain words')
    server.forget()
    connection.request('/cgi-bin/good.cgi')
    t.equal((await connection.response()).text(), 'good', 'and the server goes on')
  }
})

t.test(
  'C-7 env(1) with a carriage return: the program fails, its words are in the log',
  async t => {
    const server = await startTestServer(t, { scripts: failing })
    t.equal((await server.request('/cgi-bin/env-crlf.cgi')).status, 500)
    t.equal((await server.recordOf('No such file')).level, 'error')
  },
)

await eachSpawner(t, 'a folder that is gone, a program that is gone', async (t, spawner) => {
  const server = await startTestServer(t, {
    scripts: good,
    spawner,
    routes: root => [
      cgiRoute(root, { path: '/lost/', target: join(root.path, 'lost'), program: true }),
      cgiRoute(root, { path: '/elsewhere/', cwd: join(root.path, 'lost') }),
    ],
  })
  t.equal((await server.request('/lost/')).status, 404)
  t.equal((await server.request('/elsewhere/good.cgi')).status, 500)
  t.equal((await server.request('/cgi-bin/good.cgi')).text(), 'good')
})

t.test('C-9 no room for another process is 503 with Retry-After', async t => {
  for (const code of ['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE']) {
    const full: Spawner = {
      name: 'full',
      spawn: spec => Promise.reject(new SpawnError(code, spec.file)),
    }
    const server = await startTestServer(t, { scripts: good, spawner: full })
    const response = await server.request('/cgi-bin/good.cgi')
    t.equal(response.status, 503, code)
    t.match(response.header('retry-after'), /^[1-9]\d*$/)
    await server.recordOf('SPAWN_EXHAUSTED')
  }
})

t.test('a failed start gives its place back', async t => {
  const route = { processes: 1, queue: { length: 0, waitMs: 1_000 } }
  const server = await startTestServer(t, { scripts: { ...failing, ...good }, route })
  for (const name of ['missing', 'good', 'no-line', 'good']) {
    const { status } = await server.request(`/cgi-bin/${name}.cgi`)
    t.equal(status, name === 'good' ? 200 : 500, name)
  }
})

t.test('a script replaced or made executable a moment ago', async t => {
  const server = await startTestServer(t, { scripts: failing })
  t.equal((await server.request('/cgi-bin/mode.cgi')).status, 403)
  chmodSync(join(server.root.cgi, 'mode.cgi'), 0o755)
  t.equal((await server.request('/cgi-bin/mode.cgi')).text(), 'hello')
  server.root.script('mode.cgi', shell(plainHead, 'printf replaced'))
  t.equal((await server.request('/cgi-bin/mode.cgi')).text(), 'replaced')
})
