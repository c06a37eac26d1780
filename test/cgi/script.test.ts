/**
 * From the path below a route to the script: the walk, PATH_INFO, links, names, interpreters, and that
 * whatever changes on disk is seen at once.
 */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type CgiRouteConfig, defaultCgiRoute } from '../../src/cgi/options.js'
import { createScriptFinder, type ScriptFound } from '../../src/cgi/script.js'
import { type ErrorCode, GatewayError } from '../../src/errors.js'

const code = (code: ErrorCode) => ({ name: 'GatewayError', code })

/** A folder of scripts, outside of which there is `outside.cgi` and the sibling `cgi-old`. */
function makeFolder(t: Test): { root: string; cgi: string } {
  const root = mkdtempSync(join(tmpdir(), 'script-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  const cgi = join(root, 'cgi')
  mkdirSync(join(cgi, 'sub', 'deep'), { recursive: true })
  mkdirSync(join(root, 'cgi-old'))
  addScript(join(cgi, 'env.cgi'))
  addScript(join(cgi, 'sub', 'x.cgi'))
  addScript(join(root, 'outside.cgi'))
  addScript(join(root, 'cgi-old', 'old.cgi'))
  return { root, cgi }
}

function addScript(file: string | Buffer, mode = 0o755): void {
  writeFileSync(file, '#!/bin/sh\n')
  chmodSync(file, mode)
}

function finder(target: string, options: Partial<CgiRouteConfig> = {}) {
  const find = createScriptFinder({
    ...defaultCgiRoute,
    path: '/cgi-bin/',
    target,
    program: false,
    ...options,
  })
  return (rest: string): ScriptFound => {
    const match = find(rest)
    if (match.kind === 'script') return match
    throw new Error(`redirect to ${match.path}`)
  }
}

t.test('A-1, C-1, C-2: a script', async t => {
  const { cgi } = makeFolder(t)
  t.strictSame(finder(cgi)('/env.cgi'), {
    kind: 'script',
    file: `${cgi}/env.cgi`,
    scriptName: '/cgi-bin/env.cgi',
    pathInfo: undefined,
    exec: `${cgi}/env.cgi`,
    argv: [`${cgi}/env.cgi`],
    cwd: cgi,
    nph: false,
  })
})

t.test('A-2, A-3, A-6, A-11, A-18: SCRIPT_NAME and PATH_INFO', async t => {
  const find = finder(makeFolder(t).cgi)
  const cases: [rest: string, scriptName: string, pathInfo: string | undefined][] = [
    ['/env.cgi/a/b', '/cgi-bin/env.cgi', '/a/b'],
    ['/sub/x.cgi/y', '/cgi-bin/sub/x.cgi', '/y'],
    ['/sub/x.cgi', '/cgi-bin/sub/x.cgi', undefined],
    ['/env.cgi/', '/cgi-bin/env.cgi', '/'],
    ['//env.cgi//a//b', '/cgi-bin/env.cgi', '//a//b'],
    ['//sub///x.cgi//', '/cgi-bin/sub/x.cgi', '//'],
    ['/env.cgi/a\nb\r', '/cgi-bin/env.cgi', '/a\nb\r'],
    ['/env.cgi/.hidden~/\xe9', '/cgi-bin/env.cgi', '/.hidden~/\xe9'],
    ['/env.cgi/env.cgi', '/cgi-bin/env.cgi', '/env.cgi'],
  ]
  for (const [rest, scriptName, pathInfo] of cases) {
    const match = find(rest)
    t.equal(match.scriptName, scriptName, JSON.stringify(rest))
    t.equal(match.pathInfo, pathInfo, JSON.stringify(rest))
  }
})

t.test('A-4: what is not there is a 404', async t => {
  const { cgi } = makeFolder(t)
  const find = finder(cgi)
  for (const rest of ['/none/x', '/none', '/sub/none', '/sub/deep/x', `/${'a'.repeat(300)}`]) {
    t.throws(() => find(rest), code('SCRIPT_NOT_FOUND'), rest)
  }
  t.throws(() => finder(join(cgi, 'gone'))('/env.cgi'), code('SCRIPT_NOT_FOUND'))
  t.throws(() => finder(join(cgi, 'env.cgi'))('/x'), code('SCRIPT_NOT_FOUND'), 'ENOTDIR')
})

t.test('A-5: a directory is refused, or answered by its index, or named properly', async t => {
  const { cgi } = makeFolder(t)
  for (const rest of ['', '/', '/sub', '/sub/', '/sub//']) {
    t.throws(() => finder(cgi)(rest), code('SCRIPT_IS_DIRECTORY'), rest)
  }
  mkdirSync(join(cgi, 'a b%?'))
  addScript(join(cgi, 'a b%?', 'start.cgi'))
  addScript(join(cgi, 'sub', 'second.cgi'))
  mkdirSync(join(cgi, 'sub', 'start.cgi'))
  const find = createScriptFinder({
    ...defaultCgiRoute,
    path: '/cgi-bin/',
    target: cgi,
    program: false,
    index: ['start.cgi', 'second.cgi'],
  })
  t.match(find('/a b%?/'), {
    scriptName: '/cgi-bin/a b%?/start.cgi',
    file: `${cgi}/a b%?/start.cgi`,
    pathInfo: undefined,
  })
  t.match(find('//sub//'), { scriptName: '/cgi-bin/sub/second.cgi', cwd: `${cgi}/sub` })
  t.strictSame(find('/sub'), { kind: 'redirect', path: '/cgi-bin/sub/' })
  t.strictSame(find('//a b%?'), { kind: 'redirect', path: '/cgi-bin/a%20b%25%3F/' })
  t.throws(() => find('/sub/deep/'), code('SCRIPT_IS_DIRECTORY'))
  t.throws(() => find(''), code('SCRIPT_IS_DIRECTORY'))
  addScript(join(cgi, 'start.cgi'))
  t.strictSame(find(''), { kind: 'redirect', path: '/cgi-bin/' })
})

t.test('A-5: below a route at the root no redirect leads to another host', async t => {
  const { cgi } = makeFolder(t)
  mkdirSync(join(cgi, 'evil.test'))
  addScript(join(cgi, 'evil.test', 'start.cgi'))
  const options = { ...defaultCgiRoute, path: '/', target: cgi, program: false }
  const find = createScriptFinder({ ...options, index: ['start.cgi'] })
  t.strictSame(find('//evil.test'), { kind: 'redirect', path: '/evil.test/' })
  t.match(find('/env.cgi/x'), { scriptName: '/env.cgi', pathInfo: '/x' })
})

t.test('A-13: links with symlinks: inside', async t => {
  const { root, cgi } = makeFolder(t)
  const find = finder(cgi)
  symlinkSync('env.cgi', join(cgi, 'link.cgi'))
  symlinkSync('sub', join(cgi, 'other'))
  t.match(find('/link.cgi/x'), { file: `${cgi}/link.cgi`, pathInfo: '/x' })
  t.match(find('/other/x.cgi'), { file: `${cgi}/other/x.cgi`, cwd: `${cgi}/other` })

  symlinkSync(join(root, 'outside.cgi'), join(cgi, 'out.cgi'))
  symlinkSync('../cgi-old', join(cgi, 'sibling'))
  symlinkSync('..', join(cgi, 'up'))
  symlinkSync('/', join(cgi, 'top'))
  symlinkSync('none', join(cgi, 'dangling.cgi'))
  symlinkSync('circle.cgi', join(cgi, 'circle.cgi'))
  for (const rest of ['/out.cgi', '/sibling/old.cgi', '/up/outside.cgi', '/top/bin/sh']) {
    t.throws(() => find(rest), code('SCRIPT_OUTSIDE'), rest)
  }
  t.throws(() => find('/dangling.cgi'), code('SCRIPT_NOT_FOUND'))
  t.throws(() => find('/circle.cgi'), code('SCRIPT_NOT_FOUND'))
})

t.test('A-13: an index script is held to the same links', async t => {
  const { cgi } = makeFolder(t)
  symlinkSync('../outside.cgi', join(cgi, 'start.cgi'))
  t.throws(() => finder(cgi, { index: ['start.cgi'] })('/'), code('SCRIPT_OUTSIDE'))
})

t.test('A-13: symlinks: follow, refuse', async t => {
  const { cgi } = makeFolder(t)
  symlinkSync('../outside.cgi', join(cgi, 'out.cgi'))
  symlinkSync('env.cgi', join(cgi, 'link.cgi'))
  symlinkSync('sub', join(cgi, 'other'))
  const follow = finder(cgi, { symlinks: 'follow' })
  const refuse = finder(cgi, { symlinks: 'refuse' })
  t.equal(follow('/out.cgi').file, `${cgi}/out.cgi`)
  t.throws(() => refuse('/link.cgi'), code('SCRIPT_OUTSIDE'))
  t.throws(() => refuse('/other/x.cgi'), code('SCRIPT_OUTSIDE'))
  t.equal(refuse('/env.cgi').file, `${cgi}/env.cgi`)
})

t.test('A-13: the folder itself may be a link, and be switched to another release', async t => {
  const { root, cgi } = makeFolder(t)
  const current = join(root, 'current')
  symlinkSync('cgi', current)
  symlinkSync('env.cgi', join(cgi, 'link.cgi'))
  const inside = finder(current)
  const refuse = finder(current, { symlinks: 'refuse' })
  t.equal(inside('/link.cgi').file, `${current}/link.cgi`)
  t.equal(refuse('/env.cgi').file, `${current}/env.cgi`)
  t.throws(() => inside('/old.cgi'), code('SCRIPT_NOT_FOUND'))

  symlinkSync('old.cgi', join(root, 'cgi-old', 'link.cgi'))
  symlinkSync('cgi-old', join(root, 'next'))
  renameSync(join(root, 'next'), current)
  t.equal(inside('/old.cgi').file, `${current}/old.cgi`)
  t.equal(inside('/link.cgi').file, `${current}/link.cgi`, 'inside the new one')
  t.throws(() => inside('/env.cgi'), code('SCRIPT_NOT_FOUND'))
})

t.test('A-14: without execute bit and interpreter it is refused', async t => {
  const { cgi } = makeFolder(t)
  addScript(join(cgi, 'plain.cgi'), 0o644)
  t.throws(() => finder(cgi)('/plain.cgi/x'), code('SCRIPT_NOT_EXECUTABLE'))
})

t.test('A-15: names that are never served, at any place of the walk', async t => {
  const { cgi } = makeFolder(t)
  const find = finder(cgi, { symlinks: 'follow' })
  for (const name of ['.hidden.cgi', 'env.cgi~', 'env.cgi.bak', 'env.cgi.swp']) {
    addScript(join(cgi, name))
    t.throws(() => find(`/${name}`), code('NOT_FOUND'), name)
    mkdirSync(join(cgi, `sub/${name}`))
    addScript(join(cgi, `sub/${name}/x.cgi`))
    t.throws(() => find(`/sub/${name}/x.cgi`), code('NOT_FOUND'), name)
  }
  for (const rest of ['/.', '/..', '/../outside.cgi', '/sub/../env.cgi']) {
    t.throws(() => find(rest), code('NOT_FOUND'), rest)
  }
})

t.test(
  'A-18: a line end is no part of a script’s name, nor is NUL or an unsettled slash',
  async t => {
    const { cgi } = makeFolder(t)
    for (const name of ['env.cgi\n', 'env\r.cgi']) addScript(join(cgi, name))
    const find = finder(cgi)
    for (const name of ['env.cgi\n', 'env\r.cgi', 'env.cgi\0', '\u012Fenv.cgi']) {
      t.throws(() => find(`/${name}`), code('NOT_FOUND'), JSON.stringify(name))
    }
  },
)

t.test('A-16: an interpreter by suffix, the longest first; no execute bit needed', async t => {
  const { cgi } = makeFolder(t)
  addScript(join(cgi, 'a.py'), 0o644)
  addScript(join(cgi, 'b.old.py'), 0o644)
  const interpreters = { '.py': '/usr/bin/python3', '.old.py': '/usr/bin/python2' }
  const find = finder(cgi, { interpreters })
  t.match(find('/a.py/x'), {
    file: `${cgi}/a.py`,
    exec: '/usr/bin/python3',
    argv: ['/usr/bin/python3', `${cgi}/a.py`],
    pathInfo: '/x',
    cwd: cgi,
  })
  t.equal(find('/b.old.py').exec, '/usr/bin/python2')
  t.equal(find('/env.cgi').exec, `${cgi}/env.cgi`)
})

t.test('C-1: the route’s own working directory', async t => {
  const { root, cgi } = makeFolder(t)
  t.equal(finder(cgi, { cwd: root })('/sub/x.cgi').cwd, root)
})

t.test('RFC 3875 §5: nph- is by the name of the file alone', async t => {
  const { cgi } = makeFolder(t)
  addScript(join(cgi, 'nph-x.cgi'))
  mkdirSync(join(cgi, 'nph-dir'))
  addScript(join(cgi, 'nph-dir', 'x.cgi'))
  const find = finder(cgi)
  t.equal(find('/nph-x.cgi/a').nph, true)
  t.equal(find('/nph-dir/x.cgi').nph, false)
})

t.test('L-6: one program for the whole prefix', async t => {
  const { cgi } = makeFolder(t)
  const options = { path: '/git/', program: true }
  const find = finder(join(cgi, 'env.cgi'), options)
  t.match(find(''), { scriptName: '/git', pathInfo: undefined, cwd: cgi })
  t.match(find('/'), { scriptName: '/git', pathInfo: '/' })
  t.match(find('//a//.b'), { scriptName: '/git', pathInfo: '//a//.b', file: `${cgi}/env.cgi` })
  t.equal(finder(join(cgi, 'env.cgi'), { ...options, path: '/' })('/a').scriptName, '')

  symlinkSync('../outside.cgi', join(cgi, 'link.cgi'))
  const refuse = { ...options, symlinks: 'refuse' } as const
  t.equal(finder(join(cgi, 'link.cgi'), refuse)('').file, `${cgi}/link.cgi`, 'a link is meant')
  t.throws(() => finder(join(cgi, 'none'), options)(''), code('SCRIPT_NOT_FOUND'))
  t.throws(() => finder(join(cgi, 'sub'), options)(''), code('SCRIPT_IS_DIRECTORY'))
  addScript(join(cgi, 'plain'), 0o600)
  t.throws(() => finder(join(cgi, 'plain'), options)(''), code('SCRIPT_NOT_EXECUTABLE'))
})

t.test('names above ASCII are bytes, valid UTF-8 or not', async t => {
  const { cgi } = makeFolder(t)
  addScript(Buffer.from(`${cgi}/\xe9.cgi`, 'latin1'))
  addScript(join(cgi, 'é.cgi'))
  mkdirSync(join(cgi, 'ü'))
  addScript(join(cgi, 'ü', 'x.cgi'))
  symlinkSync('é.cgi', join(cgi, 'ä.cgi'))
  const find = finder(cgi)
  t.equal(find('/\xe9.cgi').file, `${cgi}/\xe9.cgi`)
  t.equal(find('/\xc3\xa9.cgi/\xe9').pathInfo, '/\xe9')
  t.equal(find('/\xc3\xa4.cgi').scriptName, '/cgi-bin/\xc3\xa4.cgi')
  t.equal(finder(join(cgi, 'ü'), { path: '/ö/' })('/x.cgi').file, `${cgi}/\xc3\xbc/x.cgi`)
  t.equal(finder(join(cgi, 'ü'), { path: '/ö/' })('/x.cgi').scriptName, '/\xc3\xb6/x.cgi')
})

t.test('what is no regular file is no script', async t => {
  t.throws(() => finder('/dev')('/null'), code('SCRIPT_NOT_FOUND'))
})

t.test('every change is seen by the next request', async t => {
  const { cgi } = makeFolder(t)
  const find = finder(cgi)
  const file = join(cgi, 'new.cgi')
  t.throws(() => find('/new.cgi/x'), code('SCRIPT_NOT_FOUND'))
  addScript(file)
  t.equal(find('/new.cgi/x').pathInfo, '/x', 'added')
  chmodSync(file, 0o644)
  t.throws(() => find('/new.cgi/x'), code('SCRIPT_NOT_EXECUTABLE'), 'chmod -x')
  chmodSync(file, 0o755)
  t.equal(find('/new.cgi').scriptName, '/cgi-bin/new.cgi', 'chmod +x')
  addScript(`${file}.tmp`, 0o600)
  renameSync(`${file}.tmp`, file)
  t.throws(() => find('/new.cgi'), code('SCRIPT_NOT_EXECUTABLE'), 'replaced')
  unlinkSync(file)
  t.throws(() => find('/new.cgi'), code('SCRIPT_NOT_FOUND'), 'removed')
  mkdirSync(file)
  addScript(join(file, 'x'))
  t.match(find('/new.cgi/x'), { scriptName: '/cgi-bin/new.cgi/x' }, 'became a directory')
  rmSync(file, { recursive: true })
  addScript(file)
  t.equal(find('/new.cgi/x').pathInfo, '/x', 'and a script again')
  unlinkSync(file)
  symlinkSync('../outside.cgi', file)
  t.throws(() => find('/new.cgi'), code('SCRIPT_OUTSIDE'), 'became a link')
})

t.test('a folder that may not be entered is a 403', async t => {
  if (process.getuid?.() !== 0) {
    const { cgi } = makeFolder(t)
    chmodSync(join(cgi, 'sub'), 0o600)
    t.throws(() => finder(cgi)('/sub/x.cgi'), code('FORBIDDEN'))
    chmodSync(join(cgi, 'sub'), 0o755)
    return
  }
  const { root, cgi } = makeFolder(t)
  chmodSync(root, 0o755)
  chmodSync(join(cgi, 'sub'), 0o600)
  process.seteuid?.(65_534)
  try {
    t.throws(() => finder(cgi)('/sub/x.cgi'), code('FORBIDDEN'))
    t.equal(finder(cgi)('/env.cgi').file, `${cgi}/env.cgi`)
  } finally {
    process.seteuid?.(0)
  }
})

t.test('only GatewayErrors come out', async t => {
  const { cgi } = makeFolder(t)
  const find = finder(cgi, { index: ['x.cgi'], symlinks: 'follow' })
  for (const rest of [
    '/\0',
    `/${'x/'.repeat(3000)}`,
    `/env.cgi${'/y'.repeat(3000)}`,
    '/\xff\xfe',
  ]) {
    try {
      find(rest)
    } catch (error) {
      t.type(error, GatewayError)
    }
  }
})
