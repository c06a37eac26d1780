/**
 * What a program finds when it starts: its arguments, folder, descriptors, group and signals (conventions
 * C, RFC 3875 §7.2), with each way of starting processes.
 */
import { realpathSync } from 'node:fs'
import t, { type Test } from 'tap'
import { closesOnExec, groupMembers, openDescriptors } from '../support/processes.js'
import { plainHead, shell } from '../support/programs.js'
import { cgiRoute, startTestServer } from '../support/serve.js'
import { eachSpawner, type SpawnerName, spawnerNamed } from '../support/spawners.js'

/** Signals 1 to 31; the C library has 32 and 33 for itself. */
const standardSignals = 0x7fff_ffffn

/** Descriptors that this process was itself started with: child_process hands those on, open or not wanted. */
const inherited = new Set(
  [...openDescriptors().keys()].filter(fd => fd > 2 && !closesOnExec(fd)).map(String),
)

/** What a script of these lines answers, with and without a request body. */
async function answer(
  t: Test,
  spawner: SpawnerName,
  lines: readonly string[],
  body?: string,
  target = '/cgi-bin/sub/a.cgi',
): Promise<string> {
  const server = await startTestServer(t, {
    scripts: { 'sub/a.cgi': shell(plainHead, ...lines) },
    spawner,
  })
  const parts = body === undefined ? {} : { method: 'POST', body }
  const response = await server.request(target, parts)
  return response.text().replaceAll(server.root.path, '<root>')
}

await eachSpawner(t, 'C-1, C-2 folder and arguments', async (t, spawner) => {
  const lines = ['pwd -P', 'echo "$0"', 'echo "$#: $*"']
  const target = '/cgi-bin/sub/a.cgi/p?-s+-dallow_url_include%3d1'
  t.equal(
    await answer(t, spawner, lines, undefined, target),
    '<root>/cgi-bin/sub\n<root>/cgi-bin/sub/a.cgi\n0: \n',
    'no words of the query: CVE-2012-1823',
  )
})

await eachSpawner(t, 'C-3 descriptors 0, 1 and 2, and no other', async (t, spawner) => {
  // The shell itself keeps its script open, at 10 or above; what it started shows what was inherited.
  const lines = ['ls -1 /proc/self/fd | while read -r fd; do [ "$fd" -gt 3 ] || echo "$fd"; done']
  t.equal(await answer(t, spawner, lines), '0\n1\n2\n3\n', '3 is of ls, for the folder it reads')
  t.equal(
    await answer(t, spawner, ['readlink /proc/self/fd/0']),
    '/dev/null\n',
    'C-4 without a body stdin is /dev/null',
  )
})

await eachSpawner(t, 'C-3 a program without a shell inherits nothing more', async (t, spawner) => {
  const server = await startTestServer(t, {
    routes: root => [
      cgiRoute(root, {
        path: '/ls/',
        target: realpathSync('/bin/ls'),
        program: true,
        plainOutput: true,
        cwd: '/proc/self/fd',
      }),
    ],
    spawner,
  })
  const names = (await server.request('/ls/')).text().trim().split('\n')
  const { name } = await spawnerNamed(spawner)
  const ours = names.filter(fd => name !== 'node' || !inherited.has(fd))
  t.strictSame(ours, ['0', '1', '2', '3'], '3 is the folder that ls reads')
})

await eachSpawner(t, 'C-5 /dev/stdin, /dev/stdout and /dev/stderr open', async (t, spawner) => {
  const lines = [
    'echo out >/dev/stdout',
    'echo err >/dev/stderr && echo stderr opens',
    'cat /dev/stdin',
  ]
  // Named pipes (node) have no end of file for a program that opens them after the body has ended.
  const { name } = await spawnerNamed(spawner)
  if (name !== 'node') t.equal(await answer(t, spawner, lines, 'body'), 'out\nstderr opens\nbody')
  t.equal(await answer(t, spawner, lines), 'out\nstderr opens\n', 'without a body')
})

await eachSpawner(t, 'C-6 a session and process group of its own', async (t, spawner) => {
  const server = await startTestServer(t, {
    scripts: {
      'a.cgi': shell(plainHead, 'echo "$$"', 'cut -d" " -f5,6 "/proc/$$/stat"', 'exec sleep 600'),
    },
    spawner,
  })
  const connection = await server.connect()
  connection.request('/cgi-bin/a.cgi')
  let seen = ''
  const answered = connection.response({
    onData: chunk => {
      seen += chunk.toString()
      if (seen.split('\n').length > 2) connection.destroy()
    },
  })
  await answered
  const [pid, group, session] = seen.trim().split(/\s/)
  t.equal(group, pid, 'leader of its group')
  t.equal(session, pid, 'leader of its session')
  t.equal(groupMembers(process.pid).includes(Number(pid)), false)
})

await eachSpawner(t, 'C-8 SIGPIPE ends a program, TERM is not blocked', async (t, spawner) => {
  const text = await answer(t, spawner, ['grep -E "^Sig(Blk|Ign)" /proc/self/status'])
  const masks = [...text.matchAll(/[0-9a-f]{16}/g)].map(
    ([hex]) => BigInt(`0x${hex}`) & standardSignals,
  )
  t.strictSame(masks, [0n, 0n], 'nothing is blocked, nothing ignored')
})
