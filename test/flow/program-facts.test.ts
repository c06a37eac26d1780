/**
 * The access line: one for each request, with what is known of the program that answered it (conventions
 * F-9, promise 3 of the design).
 */
import t from 'tap'
import { plainHead, shell } from '../support/programs.js'
import { startTestServer } from '../support/serve.js'
import { eachSpawner, spawnerNamed } from '../support/spawners.js'
import { waitFor } from '../support/wait-for.js'

const scripts = {
  'exit.cgi': shell(plainHead, 'echo "$REQUEST_ID"', 'exit 3'),
  'killed.cgi': shell('kill -TERM $$'),
  // Uses CPU time, and 8 MB at once.
  'busy.cgi': shell(
    'i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done',
    'x=$(head -c 8000000 /dev/zero | tr "\\0" a)',
    plainHead,
    'echo done',
    // Peak memory is looked up while a program prints; it must still be there then.
    'until [ -e "$NOTES/go" ]; do sleep 0.02; done',
  ),
  'good.cgi': shell(plainHead, 'printf good'),
} as const

await eachSpawner(t, 'F-9 exit status, signal, times, bytes', async (t, spawner) => {
  const server = await startTestServer(t, { scripts, spawner })
  const id = (await server.request('/cgi-bin/exit.cgi')).text().trim()
  const exit = JSON.stringify(await server.accessFor('exit.cgi'))
  t.match(exit, `"${id}"`, 'the request id')
  t.match(exit, '"exitCode":3', 'the exit status')

  await server.request('/cgi-bin/killed.cgi')
  t.match(JSON.stringify(await server.accessFor('killed.cgi')), '"SIGTERM"', 'the signal')

  await server.request('/cgi-bin/good.cgi')
  const good = await server.accessFor('good.cgi')
  t.match(good, { status: 200, bytes: 4 })
  for (const name of ['spawnMs', 'firstByteMs']) t.type(good[name], 'number', name)
})

await eachSpawner(t, 'F-9 CPU time and memory', async (t, spawner) => {
  const server = await startTestServer(t, { scripts, spawner })
  const onData = (): void => server.root.leave('go')
  await server.request('/cgi-bin/busy.cgi', {}, { onData })
  const busy = await server.accessFor('busy.cgi')
  const { name } = await spawnerNamed(spawner)
  if (name === 'node') {
    t.notMatch(JSON.stringify(busy), /cpuUserMs|maxRss/, 'not known, and not invented')
    return
  }
  t.ok(Number(busy.cpuUserMs) > 0, `cpuUserMs is ${busy.cpuUserMs}`)
  t.type(busy.cpuSystemMs, 'number')
  t.ok(Number(busy.maxRssKiB) > 8_000, `maxRssKiB is ${busy.maxRssKiB}`)
})

t.test('F-9 the combined form has the request and what the program was', async t => {
  const config = { log: { access: 'combined', level: 'debug' } } as const
  const server = await startTestServer(t, { scripts, config })
  const id = (
    await server.request('/cgi-bin/exit.cgi?a="b"\\', {
      headers: ['Referer: http://a.test/"', 'User-Agent: \\"\xff'],
    })
  )
    .text()
    .trim()
  const line = await waitFor('an access line', () => server.access[0])
  t.match(
    line,
    /^127\.0\.0\.1 - - \[\d\d\/\w{3}\/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET \/cgi-bin\/exit\.cgi/,
  )
  t.match(line, / 200 \d+ /)
  t.match(line, id)
  t.notMatch(line, /[\n\r\x7f-\xff]/, 'F-3 control bytes are escaped')
  t.notMatch(line, /a="b"/, 'a quote of the client does not end a field')
})

t.test('one line for each request, whatever became of it', async t => {
  const server = await startTestServer(t, { scripts })
  const targets = ['/cgi-bin/good.cgi', '/cgi-bin/none.cgi', '/none', '/cgi-bin/good.cgi/%00', '*']
  for (const target of targets) await server.request(target)
  const connection = await server.connect()
  connection.send('hello\r\n\r\n')
  await connection.response()
  for (const target of targets) await server.accessFor(target)
  await server.accessFor('"status":400')
  t.equal(server.access.length, targets.length + 1)
})
