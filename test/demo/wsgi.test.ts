/**
 * The Python example, as examples/wsgi.yaml and examples/README.md run it: real command, real workers.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { type Command, get, postern } from '../cli/command.js'
import { isAlive, untilEnded } from '../support/processes.js'
import { pythonWith } from '../support/python.js'
import { within } from '../support/wait-for.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

function serve(t: Test, ...words: readonly string[]): Command {
  const command = postern(t, root, [...words, '-p', '0'], { PYTHONDONTWRITEBYTECODE: '1' })
  t.teardown(async () => {
    command.signal('SIGTERM')
    await within('it has ended', command.ended, 30_000)
  })
  return command
}

async function ask(url: string): Promise<Readonly<Record<string, unknown>>> {
  const { status, body } = await get(url)
  if (status !== 200) throw new Error(`${url}: ${status} ${body}`)
  return JSON.parse(body)
}

t.test('examples/wsgi.yaml: the same app in both modes', async t => {
  if (pythonWith(t) === undefined) return
  const command = serve(t, '-c', 'examples/wsgi.yaml')
  const origin = await command.origin()
  const first = await ask(`${origin}/cgi/app/json`)
  t.match(first, { mode: 'CGI', answers: 1 })
  t.not((await ask(`${origin}/cgi/app/json`)).pid, first.pid)
  const said: Readonly<Record<string, unknown>>[] = []
  for (let i = 0; i < 5; i++) said.push(await ask(`${origin}/wsgi/app/json`))
  t.match(said.at(-1), { mode: 'WSGI' })
  t.ok(Number(said.at(-1)?.answers) >= 3, 'a worker counts')
  const pids = [...new Set(said.map(({ pid }) => Number(pid)))]
  t.ok(pids.length <= 2 && pids.every(isAlive))
  for (const mode of ['wsgi', 'cgi']) {
    t.same(await ask(`${origin}/${mode}/app/hello?name=W%C3%B6rld`), { hello: 'Wörld' })
    const response = await fetch(`${origin}/${mode}/app/`, {
      method: 'POST',
      body: new URLSearchParams({ name: '<b>"Zoë" & co</b>' }),
    })
    const page = await response.text()
    t.match(page, '<h1>Hello, &lt;b&gt;&quot;Zoë&quot; &amp; co&lt;/b&gt;</h1>')
    t.match(page, `<form method="post" action="/${mode}/app/">`)
  }
  t.not((await get(`${origin}/wsgi_app.py`)).status, 200, 'L-12')
  command.signal('SIGTERM')
  await within('it has ended', command.ended, 30_000)
  for (const pid of pids) await untilEnded(pid)
})

t.test('the command of examples/README.md', async t => {
  if (pythonWith(t) === undefined) return
  const line = /^npx postern (wsgi .*)$/m.exec(readFileSync(`${root}/examples/README.md`, 'utf8'))
  const command = serve(t, ...(line?.[1] ?? '').split(' '))
  t.match(await ask(`${await command.origin()}/json`), { mode: 'WSGI' })
})
