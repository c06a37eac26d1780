// Routes with `root`, `index` and `split`: which script runs, what is a file, and what is neither.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { type ErrorCode, GatewayError } from '../../src/errors.js'
import { createFileFinder, type FileFinderOptions } from '../../src/fastcgi/script-file.js'

const code = (code: ErrorCode) => ({ name: 'GatewayError', code })

/** A folder with these files, below one of its own so that there is an outside. */
function makeRoot(t: Test, ...files: readonly (string | Buffer)[]): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'script-file-')))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const root = join(folder, 'php')
  mkdirSync(root)
  for (const file of files) add(root, file)
  return root
}

function add(root: string, file: string | Buffer): void {
  const path = Buffer.concat([Buffer.from(`${root}/`), Buffer.from(file)])
  if (typeof file === 'string') mkdirSync(dirname(join(root, file)), { recursive: true })
  writeFileSync(path, 'x')
}

const finder = (root: string, options: Partial<FileFinderOptions> = {}) =>
  createFileFinder({ path: '/php/', root, index: [], split: '.php', ...options })

t.test('A-2, A-3, A-6, A-11, A-18: SCRIPT_FILENAME, SCRIPT_NAME and PATH_INFO', async t => {
  const root = makeRoot(t, 'a.php', 'sub/b.php', 'dir.php/c.php')
  const find = finder(root)
  const cases: [rest: string, file: string, pathInfo: string | undefined][] = [
    ['/a.php', '/a.php', undefined],
    ['/a.php/', '/a.php', '/'],
    ['/a.php/x/y', '/a.php', '/x/y'],
    ['/a.php/x.php', '/a.php', '/x.php'],
    ['//a.php//x//y', '/a.php', '//x//y'],
    ['//sub///b.php//', '/sub/b.php', '//'],
    ['/a.php/x\ny\n.php', '/a.php', '/x\ny\n.php'],
    ['/a.php/.git/config', '/a.php', '/.git/config'],
    ['/dir.php/c.php/d', '/dir.php/c.php', '/d'],
  ]
  for (const [rest, file, pathInfo] of cases) {
    const want = { kind: 'script', file: root + file, scriptName: `/php${file}`, pathInfo }
    t.strictSame(find(rest), want, rest)
  }
  const atRoot = finder(root, { path: '/' })('/sub/b.php/x')
  t.match(atRoot, { scriptName: '/sub/b.php', pathInfo: '/x' })
})

t.test('A-17: the file must be there before anything behind it is accepted', async t => {
  const root = makeRoot(t, 'shell.jpg', 'style.css', 'sub/b.php')
  const find = finder(root, { index: ['index.html'] })
  for (const rest of [
    '/shell.jpg/x.php',
    '/shell.jpg/.php',
    '/shell.jpg%0a.php',
    '/shell.jpg\n.php',
    '/style.css/',
    '/none.php',
    '/none.php/x',
    '/none/x.php',
    '/sub/none/b.php',
  ]) {
    t.throws(() => find(rest), code('NOT_FOUND'), rest)
  }
})

t.test(
  'A-17, GHSA-3g8v-8r37-cgjm, GHSA-v4h7-cj44-8fc8: the name ends in split, byte for byte',
  async t => {
    // Fullwidth letters, a long s, an i without dot, and the byte of a latin-1 letter: none is ASCII.
    const lookalikes = ['x.ｐｈｐ', 'x.phﾌ', 'x.ſhp', 'xphp', 'x.php5', 'x.phtml']
    const root = makeRoot(t, ...lookalikes, Buffer.from('x.ph\xfe', 'latin1'))
    const find = finder(root)
    for (const name of lookalikes) {
      const bytes = Buffer.from(name).toString('latin1')
      t.strictSame(find(`/${bytes}`), { kind: 'file', file: `${root}/${bytes}` }, name)
      t.throws(() => find(`/${bytes}/x.php`), code('NOT_FOUND'), name)
    }
    t.match(find('/x.ph\xfe'), { kind: 'file' }, 'a name that is not UTF-8')
  },
)

t.test('L-12: files beside the scripts are files; sources never', async t => {
  const sources = ['A.PHP', 'b.Php', 'c.pHP']
  const root = makeRoot(t, 'style.css', 'a/b.txt', 'noextension', 'config.php', ...sources)
  const find = finder(root)
  for (const name of ['/style.css', '/a/b.txt', '/noextension', '//a//b.txt']) {
    t.strictSame(find(name), { kind: 'file', file: root + name.replaceAll('//', '/') }, name)
  }
  for (const name of sources) t.throws(() => find(`/${name}`), code('NOT_FOUND'), name)

  symlinkSync('config.php', join(root, 'innocent.txt'))
  t.throws(() => find('/innocent.txt'), code('NOT_FOUND'), 'nor through a link')
  symlinkSync('style.css', join(root, 'link.css'))
  t.strictSame(find('/link.css'), { kind: 'file', file: `${root}/style.css` }, 'the real path')
  symlinkSync('style.css', join(root, 'link.php'))
  t.match(find('/link.php'), { kind: 'script', file: `${root}/link.php` })
  symlinkSync('style.css', join(root, 'link.PHP'))
  t.throws(() => find('/link.PHP'), code('NOT_FOUND'))
})

t.test('A-15: hidden names are not there, the index does not answer for them', async t => {
  const hidden = ['.env', '.git/config', 'a.php~', 'a.php.bak', 'a.php.BAK', 'a.php.swp', '.php']
  const root = makeRoot(t, 'index.php', '.well-known/x', '.well-known/.env', ...hidden)
  const find = finder(root, { index: ['index.php'] })
  for (const name of [...hidden, '.none', '.well-known/.env', '..', '../php/index.php']) {
    t.throws(() => find(`/${name}`), code('NOT_FOUND'), name)
  }
  t.match(find('/.well-known/x'), { kind: 'file' }, 'RFC 8615')
  symlinkSync('.env', join(root, 'env.txt'))
  t.throws(() => find('/env.txt'), code('NOT_FOUND'), 'nor through a link')
})

t.test('A-5: a directory means its index, by its proper name', async t => {
  const root = makeRoot(t, 'index.html', 'app/index.php', 'a b/index.html', 'both/x')
  add(root, 'both/index.php')
  add(root, 'both/index.html')
  mkdirSync(join(root, 'empty'))
  mkdirSync(join(root, 'odd', 'index.php'), { recursive: true })
  const find = finder(root, { index: ['index.php', 'index.html'] })
  t.strictSame(find('/app/'), {
    kind: 'script',
    file: `${root}/app/index.php`,
    scriptName: '/php/app/index.php',
    pathInfo: undefined,
  })
  t.strictSame(find('/'), { kind: 'file', file: `${root}/index.html` })
  t.match(find('/both//'), { kind: 'script' }, 'in the order of the names')
  t.strictSame(find('/app'), { kind: 'redirect', path: '/php/app/' })
  t.strictSame(find('/a b'), { kind: 'redirect', path: '/php/a%20b/' })
  const atRoot = finder(root, { path: '/', index: ['index.php'] })
  const toHere = { kind: 'redirect', path: '/app/' }
  t.strictSame(atRoot('//app'), toHere, 'no other host, though it begins with two slashes')
  t.strictSame(find(''), { kind: 'redirect', path: '/php/' }, 'L-6: the mount without its slash')
  for (const rest of ['/empty', '/empty/', '/odd/']) {
    t.throws(() => find(rest), code('SCRIPT_IS_DIRECTORY'), rest)
  }
})

t.test('what is not there is answered by the index script of the root', async t => {
  const root = makeRoot(t, 'index.php', 'app/index.php', 'shell.jpg')
  const find = finder(root, { index: ['index.html', 'index.php'] })
  const misses = ['/none', '/none.php', '/none.php/x', '/missing.png', '/app/none', '//a//b']
  for (const rest of misses) {
    const want = { file: `${root}/index.php`, scriptName: '/php/index.php', pathInfo: rest }
    t.strictSame(find(rest), { kind: 'script', ...want }, rest)
  }
  t.throws(() => find('/shell.jpg/x.php'), code('NOT_FOUND'), 'a file is something')

  add(root, 'index.html')
  t.match(find('/none'), { scriptName: '/php/index.php' }, 'never by a file')
  rmSync(join(root, 'index.php'))
  t.throws(() => find('/none'), code('NOT_FOUND'), 'each request looks anew')
})

t.test('A-13: links stay inside the root', async t => {
  const root = makeRoot(t, 'a.php', 'sub/b.php')
  writeFileSync(join(root, '..', 'outside.php'), 'x')
  symlinkSync('../outside.php', join(root, 'out.php'))
  symlinkSync('../outside.php', join(root, 'out.txt'))
  symlinkSync('..', join(root, 'up'))
  symlinkSync('sub', join(root, 'down'))
  symlinkSync('nowhere.php', join(root, 'dangling.php'))
  symlinkSync('circle.php', join(root, 'circle.php'))
  const find = finder(root)
  for (const rest of ['/out.php', '/out.txt', '/up/outside.php', '/up/']) {
    t.throws(() => find(rest), code('SCRIPT_OUTSIDE'), rest)
  }
  t.match(find('/down/b.php/x'), { file: `${root}/down/b.php`, scriptName: '/php/down/b.php' })
  for (const rest of ['/dangling.php', '/circle.php']) {
    t.throws(() => find(rest), GatewayError, rest)
  }
})

t.test('a root that is itself behind a link', async t => {
  const root = makeRoot(t, 'a.php', 'style.css', '.env')
  const link = join(root, '..', 'current')
  symlinkSync('php', link)
  symlinkSync('style.css', join(root, 'b.css'))
  const find = finder(link)
  t.match(find('/a.php'), { kind: 'script', file: `${link}/a.php` })
  t.strictSame(find('/style.css'), { kind: 'file', file: `${root}/style.css` })
  t.strictSame(find('/b.css'), { kind: 'file', file: `${root}/style.css` })
  mkdirSync(join(root, '..', 'deploy', '.releases'), { recursive: true })
  const release = join(root, '..', 'deploy', '.releases', '1')
  renameSync(root, release)
  symlinkSync(release, root)
  t.strictSame(find('/b.css'), { kind: 'file', file: `${release}/style.css` }, 'moved meanwhile')
  rmSync(root)
  t.throws(() => find('/style.css'), GatewayError, 'a link to nothing')
})

t.test('what is neither a file nor a directory is nothing', async t => {
  const root = makeRoot(t)
  execFileSync('mkfifo', [join(root, 'fifo.php'), join(root, 'fifo.txt')])
  const find = finder(root)
  t.throws(() => find('/fifo.php'), code('NOT_FOUND'))
  t.throws(() => find('/fifo.txt'), code('NOT_FOUND'))
})

t.test('a folder that may not be entered', async t => {
  const root = makeRoot(t, 'closed/a.php')
  const privileged = process.getuid?.() === 0
  chmodSync(dirname(root), 0o755)
  chmodSync(join(root, 'closed'), 0)
  if (privileged) process.seteuid?.(65_534)
  try {
    t.throws(() => finder(root)('/closed/a.php'), code('FORBIDDEN'))
  } finally {
    if (privileged) process.seteuid?.(0)
    chmodSync(join(root, 'closed'), 0o755)
  }
})

t.test('without split every file is a script, and no source is ever sent', async t => {
  const root = makeRoot(t, 'a.cgi', 'sub/style.css')
  const find = finder(root, { split: undefined })
  t.match(find('/a.cgi/x'), { kind: 'script', pathInfo: '/x' })
  t.match(find('/sub/style.css'), { kind: 'script' })
})
