/** What the banner says of each script, before anybody asks for it. */
import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { inspectRoute } from '../../src/cli/inspect.js'
import { type CgiRouteConfig, defaultCgiRoute } from '../../src/server/config.js'
import { peer } from '../support/peers.js'
import { type TempRoot, tempRoot } from '../support/temp-root.js'

const host = { PATH: '/usr/bin:/bin' }

/** URL → `runs`, or `problem; remedy`. */
async function verdicts(root: TempRoot, changes: Partial<CgiRouteConfig> = {}) {
  const place = { path: '/cgi-bin/', target: root.cgi, program: false }
  const report = await inspectRoute({ ...defaultCgiRoute, ...place, ...changes }, host)
  return Object.fromEntries(
    report.scripts.map(({ url, verdict }) => [
      url,
      verdict.fault === undefined
        ? verdict.runs
        : `${verdict.fault.problem}; ${verdict.fault.remedy}`.replaceAll(root.path, 'DIR'),
    ]),
  )
}

t.test('warm: scripts that a fork server runs are named so', async t => {
  const root = tempRoot(t, {
    'a.sh': '#!/bin/sh\n',
    'b.py': '#!/usr/bin/env sh\n',
    'c.pl': '#!/usr/bin/perl -w\n',
    'd.pl': '#!/usr/bin/perl -T\n',
  })
  if (peer(t, 'perl', ['/usr/bin/perl']) === undefined) return
  t.same(await verdicts(root, { warm: true }), {
    '/cgi-bin/a.sh': '#!/bin/sh',
    '/cgi-bin/b.py': '#!/usr/bin/env sh',
    '/cgi-bin/c.pl': '#!/usr/bin/perl -w, warm',
    '/cgi-bin/d.pl': '#!/usr/bin/perl -T',
  })
})

t.test('how scripts run', async t => {
  const root = tempRoot(t, {
    'a.sh': '#!/bin/sh\n',
    'b.sh': '#! /bin/sh -e \n',
    'c.sh': '#!/usr/bin/env sh\n',
    'd.sh': '#!/usr/bin/env -S X=1 sh -e\n',
    'e.sh': '#!/bin/sh',
    'mapped.py': { content: 'print()', mode: 0o644 },
    'sub/deep/f.sh': '#!/bin/sh\n',
  })
  copyFileSync(process.execPath, join(root.cgi, 'node'))
  t.same(await verdicts(root, { interpreters: { '.py': '/usr/bin/python-of-test' } }), {
    '/cgi-bin/a.sh': '#!/bin/sh',
    '/cgi-bin/b.sh': '#!/bin/sh -e',
    '/cgi-bin/c.sh': '#!/usr/bin/env sh',
    '/cgi-bin/d.sh': '#!/usr/bin/env -S X=1 sh -e',
    '/cgi-bin/e.sh': '#!/bin/sh',
    '/cgi-bin/mapped.py': '/usr/bin/python-of-test',
    '/cgi-bin/node': 'binary',
    '/cgi-bin/sub/deep/f.sh': '#!/bin/sh',
  })
})

t.test('C-7, A-14: why scripts cannot run', async t => {
  const lineEnd =
    'the #! line ends in a carriage return; save the file with LF line ends, for example with sed -i "s/\\r$//"'
  const root = tempRoot(t, {
    'bare.sh': 'echo\n',
    'crlf.py': '#!/usr/bin/env sh\r\necho\r\n',
    'crlf.sh': '#!/bin/sh\r\n',
    'empty.sh': '',
    'env.py': '#!/usr/bin/env python-of-test\n',
    'gone.py': '#!/opt/none/python\n',
    'mode.sh': { content: '#!/bin/sh\n', mode: 0o644 },
    'noname.sh': '#!\n',
  })
  t.same(await verdicts(root), {
    '/cgi-bin/bare.sh':
      'no #! line; begin the script with #! and its interpreter, for example #!/bin/sh',
    '/cgi-bin/crlf.py': lineEnd,
    '/cgi-bin/crlf.sh': lineEnd,
    '/cgi-bin/empty.sh': 'empty; write the script',
    '/cgi-bin/env.py': 'python-of-test was not found on PATH; install it, or correct the #! line',
    '/cgi-bin/gone.py':
      'the interpreter /opt/none/python was not found; install it, or correct the #! line',
    '/cgi-bin/mode.sh':
      'not executable; chmod +x the file, or map its extension under interpreters',
    '/cgi-bin/noname.sh': 'the #! line names no interpreter; write for example #!/bin/sh',
  })
})

t.test('A-13: links that leave, lead nowhere, or go round', async t => {
  const root = tempRoot(t, { 'real.sh': '#!/bin/sh\n' })
  writeFileSync(join(root.path, 'outside.sh'), '#!/bin/sh\n', { mode: 0o755 })
  symlinkSync('../outside.sh', join(root.cgi, 'leaves.sh'))
  symlinkSync('nowhere', join(root.cgi, 'broken.sh'))
  symlinkSync('real.sh', join(root.cgi, 'inside.sh'))
  symlinkSync('.', join(root.cgi, 'round'))
  const leaves = 'move the file inside, or set symlinks: follow on the route'
  const broken = 'a broken symbolic link; remove it, or create its target'
  t.same(await verdicts(root), {
    '/cgi-bin/broken.sh': broken,
    '/cgi-bin/inside.sh': '#!/bin/sh',
    '/cgi-bin/leaves.sh': `a symbolic link that leaves the directory; ${leaves}`,
    '/cgi-bin/real.sh': '#!/bin/sh',
  })
  t.match(await verdicts(root, { symlinks: 'follow' }), { '/cgi-bin/leaves.sh': '#!/bin/sh' })
  t.match(await verdicts(root, { symlinks: 'refuse' }), {
    '/cgi-bin/inside.sh': `a symbolic link, which the route refuses; ${leaves}`,
  })
})

t.test('A-15: hidden names and backups are no scripts', async t => {
  const script = '#!/bin/sh\n'
  const root = tempRoot(t, {
    '.a': script,
    '.git/b': script,
    'c~': script,
    'd.bak': script,
    'e.swp': script,
  })
  t.same(await verdicts(root), {})
})

t.test('names that are not plain are percent-encoded, byte by byte', async t => {
  const root = tempRoot(t, { 'a b?é.sh': '#!/bin/sh\n' })
  writeFileSync(Buffer.concat([Buffer.from(`${root.cgi}/`), Buffer.from([0xe9])]), '#!/bin/sh\n', {
    mode: 0o755,
  })
  t.same(await verdicts(root), {
    '/cgi-bin/a%20b%3F%C3%A9.sh': '#!/bin/sh',
    '/cgi-bin/%E9': '#!/bin/sh',
  })
})

t.test('one program for a prefix', async t => {
  const root = tempRoot(t, { 'tool.sh': '#!/bin/sh\n' })
  const changes = { path: '/t/', target: join(root.cgi, 'tool.sh'), program: true }
  t.same(await verdicts(root, changes), { '/t/': '#!/bin/sh' })
  chmodSync(changes.target, 0o644)
  t.match(await verdicts(root, changes), { '/t/': /^not executable/ })
})

t.test(
  'what may not be read is said',
  { skip: process.getuid?.() === 0 && 'root reads everything' },
  async t => {
    const root = tempRoot(t, { 'secret.sh': { content: '#!/bin/sh\n', mode: 0o311 } })
    mkdirSync(join(root.cgi, 'closed'), { mode: 0 })
    t.match(await verdicts(root), {
      '/cgi-bin/closed': /^cannot be read/,
      '/cgi-bin/secret.sh': /^cannot be read/,
    })
    chmodSync(join(root.cgi, 'closed'), 0o755)
  },
)

t.test('bounds: scripts looked into, names looked at', async t => {
  const root = tempRoot(t)
  for (let i = 0; i < 30; i++) root.script(`s${10 + i}.sh`, '#!/bin/sh\n')
  const route = { ...defaultCgiRoute, path: '/c/', target: root.cgi, program: false }
  const few = await inspectRoute(route, host, { scripts: 20, names: 30 })
  t.match(few, { more: 10, complete: true })
  t.equal(few.scripts.length, 20)
  t.equal(few.scripts.at(-1)?.url, '/c/s29.sh')
  t.match(await inspectRoute(route, host, { scripts: 20, names: 29 }), { more: 9, complete: false })
})
