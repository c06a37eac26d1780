import { execFileSync } from 'node:child_process'
import {
  closeSync,
  fstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { GatewayError } from '../../src/errors.js'
import { FileTree, type FileTreeOptions } from '../../src/static/locate.js'
import { type TempRoot, tempRoot } from '../support/temp-root.js'
import { within } from '../support/wait-for.js'

const site = {
  'index.html': 'top',
  'a.html': 'a',
  'sub/index.html': 'sub',
  'sub/b.html': 'b',
  'empty/readme.txt': 'x',
  '.env': 'SECRET',
  '.git/config': 'SECRET',
  'sub/.hidden/x.txt': 'SECRET',
  'a.html~': 'SECRET',
  'a.html.bak': 'SECRET',
  '.a.html.swp': 'SECRET',
  'A.SWP': 'SECRET',
  'old.bak/x.txt': 'SECRET',
  'tilde~x.txt': 'fine',
  'postern.yaml': 'SECRET',
}

function tree(root: TempRoot, options: Partial<FileTreeOptions> = {}): FileTree {
  return new FileTree({
    root: root.public,
    index: ['index.html', 'index.htm'],
    hiddenDirectories: [root.cgi],
    hiddenFiles: [join(root.public, 'postern.yaml')],
    ...options,
  })
}

/** The content of what is found, `directory`, or the code of the refusal. */
async function look(files: FileTree, path: string): Promise<string> {
  try {
    const found = await within(path, files.find(path))
    if (found === 'directory') return found
    const content = readFileSync(found.fd, 'latin1')
    closeSync(found.fd)
    return content
  } catch (error) {
    if (error instanceof GatewayError) return error.code
    throw error
  }
}

/** Looks at path after path and wants what stands beside it. */
async function expect(t: Test, files: FileTree, table: Record<string, string>): Promise<void> {
  for (const [path, wanted] of Object.entries(table)) {
    t.equal(await look(files, path), wanted, JSON.stringify(path))
  }
}

t.test('files, index files and directories', async t => {
  const root = tempRoot(t, {}, site)
  writeFileSync(join(root.public, 'empty', 'index.htm'), 'second choice')
  mkdirSync(join(root.public, 'sub', 'index.htm'))
  await expect(t, tree(root), {
    '/': 'top',
    '/a.html': 'a',
    '/sub': 'directory',
    '/sub/': 'sub',
    '/sub/b.html': 'b',
    '/empty/': 'second choice',
    '/none': 'NOT_FOUND',
    '/none/': 'NOT_FOUND',
    '/a.html/': 'NOT_FOUND',
    '/a.html/x': 'NOT_FOUND',
    [`/${'x'.repeat(300)}`]: 'NOT_FOUND',
    '/tilde~x.txt': 'fine',
  })
  await expect(t, tree(root, { index: [] }), { '/': 'NOT_FOUND', '/sub/': 'NOT_FOUND' })
  await expect(t, tree(root, { index: ['index.htm'] }), { '/sub/': 'NOT_FOUND' })
})

t.test('A-11: runs of slashes are one', async t => {
  const root = tempRoot(t, {}, site)
  await expect(t, tree(root), { '//': 'top', '//sub///b.html': 'b', '/sub//': 'sub' })
})

t.test('A-15: dotfiles and backups, in any segment', async t => {
  const root = tempRoot(t, {}, site)
  await expect(t, tree(root), {
    '/.env': 'NOT_FOUND',
    '//.env': 'NOT_FOUND',
    '/.git/config': 'NOT_FOUND',
    '/.git/': 'NOT_FOUND',
    '/sub/.hidden/x.txt': 'NOT_FOUND',
    '/a.html~': 'NOT_FOUND',
    '/a.html.bak': 'NOT_FOUND',
    '/.a.html.swp': 'NOT_FOUND',
    '/A.SWP': 'NOT_FOUND',
    '/old.bak/x.txt': 'NOT_FOUND',
  })
})

t.test('A-8, A-9: characters that no name has', async t => {
  const root = tempRoot(t, {}, site)
  await expect(t, tree(root), {
    '/sub\u012fb.html': 'NOT_FOUND',
    '/a.html\0': 'NOT_FOUND',
    '/a.html\0.png': 'NOT_FOUND',
  })
})

t.test('no traversal, should a path ever come unresolved', async t => {
  const root = tempRoot(t, { 'x.cgi': 'SOURCE' }, site)
  mkdirSync(join(root.path, 'public-secret'))
  writeFileSync(join(root.path, 'public-secret', 's.txt'), 'SECRET')
  await expect(t, tree(root), {
    '/../cgi-bin/x.cgi': 'NOT_FOUND',
    '/sub/../../cgi-bin/x.cgi': 'NOT_FOUND',
    '/../public-secret/s.txt': 'NOT_FOUND',
    '/..': 'NOT_FOUND',
  })
})

t.test('A-13: a symbolic link may lead about inside the root, not out of it', async t => {
  const root = tempRoot(t, {}, site)
  mkdirSync(join(root.path, 'public-secret'))
  writeFileSync(join(root.path, 'public-secret', 's.txt'), 'SECRET')
  symlinkSync('a.html', join(root.public, 'inside.html'))
  symlinkSync('../public-secret/s.txt', join(root.public, 'out.txt'))
  symlinkSync('../public-secret', join(root.public, 'out'))
  symlinkSync('.env', join(root.public, 'env.txt'))
  symlinkSync('loop', join(root.public, 'loop'))
  await expect(t, tree(root), {
    '/inside.html': 'a',
    '/out.txt': 'NOT_FOUND',
    '/out/s.txt': 'NOT_FOUND',
    '/env.txt': 'NOT_FOUND',
    '/loop': 'NOT_FOUND',
  })
})

t.test('A-14: the source of a script is never found, whichever way', async t => {
  const root = tempRoot(t, {}, { ...site, 'cgi/x.cgi': 'SOURCE', 'app.cgi': 'SOURCE' })
  symlinkSync('cgi', join(root.public, 'alias'))
  symlinkSync('cgi/x.cgi', join(root.public, 'x.txt'))
  symlinkSync('../a.html', join(root.public, 'cgi', 'linked.cgi'))
  symlinkSync('app.cgi', join(root.public, 'app.txt'))
  symlinkSync(root.public, join(root.path, 'other-name'))
  const hiddenDirectories = [join(root.public, 'cgi'), join(root.public, 'app.cgi')]
  const table = {
    '/cgi/x.cgi': 'NOT_FOUND',
    '//cgi//x.cgi': 'NOT_FOUND',
    '/cgi': 'NOT_FOUND',
    '/cgi/': 'NOT_FOUND',
    '/alias/x.cgi': 'NOT_FOUND',
    '/x.txt': 'NOT_FOUND',
    '/cgi/linked.cgi': 'NOT_FOUND',
    '/app.cgi': 'NOT_FOUND',
    '/app.txt': 'NOT_FOUND',
    '/postern.yaml': 'NOT_FOUND',
    '/a.html': 'a',
  }
  await expect(t, tree(root, { hiddenDirectories }), table)
  // The same folders under another name: the config may say one, the root the other.
  const other = join(root.path, 'other-name')
  await expect(t, tree(root, { hiddenDirectories, root: other }), table)
  const hiddenByOther = [join(other, 'cgi'), join(other, 'app.cgi')]
  await expect(t, tree(root, { hiddenDirectories: hiddenByOther }), table)
})

t.test('A-14: a hidden folder that is itself a link, with a link in it', async t => {
  const root = tempRoot(t, {}, { 'a.html': 'a', 'scripts/x.cgi': 'SOURCE' })
  symlinkSync('scripts', join(root.public, 'cgi'))
  symlinkSync('../a.html', join(root.public, 'scripts', 'linked.cgi'))
  await expect(t, tree(root, { hiddenDirectories: [join(root.public, 'cgi')] }), {
    '/cgi/linked.cgi': 'NOT_FOUND',
    '/scripts/x.cgi': 'NOT_FOUND',
  })
})

t.test(
  'a hidden folder that has the beginning of its name in common hides nothing else',
  async t => {
    const root = tempRoot(t, {}, { 'cgi-binary.txt': 'fine' })
    const hiddenDirectories = [join(root.public, 'cgi-bin')]
    await expect(t, tree(root, { hiddenDirectories }), { '/cgi-binary.txt': 'fine' })
  },
)

t.test('a hidden index file is passed over', async t => {
  const root = tempRoot(t, {}, { 'index.cgi': 'SOURCE', 'index.html': 'page' })
  const files = tree(root, {
    index: ['index.cgi', 'index.html'],
    hiddenFiles: [join(root.public, 'index.cgi')],
  })
  await expect(t, files, { '/': 'page' })
})

t.test('a root that does not exist, and one that comes later', async t => {
  const root = tempRoot(t)
  const files = tree(root, { root: join(root.path, 'later') })
  await expect(t, files, { '/a.html': 'NOT_FOUND', '/': 'NOT_FOUND' })
  mkdirSync(join(root.path, 'later'))
  writeFileSync(join(root.path, 'later', 'a.html'), 'late')
  await expect(t, files, { '/a.html': 'late' })
})

t.test('a deployment that moves the link of the root is followed at once', async t => {
  const root = tempRoot(t, {}, { 'a.html': 'old' })
  const current = join(root.path, 'current')
  symlinkSync(root.public, current)
  const files = tree(root, { root: current })
  await expect(t, files, { '/a.html': 'old' })
  mkdirSync(join(root.path, 'next'))
  writeFileSync(join(root.path, 'next', 'a.html'), 'new')
  symlinkSync(join(root.path, 'next'), `${current}-new`)
  renameSync(`${current}-new`, current)
  await expect(t, files, { '/a.html': 'new' })
})

t.test(
  'names that are not UTF-8',
  { skip: process.platform !== 'linux' && 'needs Linux' },
  async t => {
    const root = tempRoot(t)
    const name = Buffer.concat([Buffer.from(`${root.public}/caf`), Buffer.from([0xe9, 0x2e, 0x74])])
    writeFileSync(name, 'bytes')
    writeFileSync(join(root.public, 'café.txt'), 'UTF-8')
    await expect(t, tree(root), {
      '/caf\xe9.t': 'bytes',
      [`/${Buffer.from('café.txt').toString('latin1')}`]: 'UTF-8',
      '/caf\xe9.txt': 'NOT_FOUND',
    })
  },
)

t.test('what the system refuses: FORBIDDEN, or INTERNAL with its code', async t => {
  for (const [systemCode, code] of [
    ['EACCES', 'FORBIDDEN'],
    ['EPERM', 'FORBIDDEN'],
    ['EIO', 'INTERNAL'],
  ] as const) {
    const realpath = async (): Promise<string> => {
      throw Object.assign(new Error('no'), { code: systemCode, syscall: 'realpath' })
    }
    const mocked = (await t.mockImport('../../src/static/locate.js', {
      'node:fs/promises': { realpath },
    })) as { FileTree: typeof FileTree }
    const options = { root: '/', index: ['index.html'], hiddenDirectories: [], hiddenFiles: [] }
    const files = new mocked.FileTree(options)
    const error = { code, detail: `realpath failed with ${systemCode}.` }
    await t.rejects(files.find('/a'), error)
    await t.rejects(files.find('/'), error, 'an index file that cannot be read is not passed over')
  }
})

t.test('neither a FIFO nor a socket holds a request', async t => {
  const root = tempRoot(t)
  execFileSync('mkfifo', [join(root.public, 'fifo')])
  const server = createServer().listen(join(root.public, 'socket'))
  t.teardown(() => server.close())
  await new Promise(resolve => server.once('listening', resolve))
  await expect(t, tree(root), { '/fifo': 'NOT_FOUND', '/socket': 'NOT_FOUND' })
})

t.test('what is found is open, with its stat and the name for the media type', async t => {
  const root = tempRoot(t, {}, site)
  const found = await tree(root).find('/sub/')
  if (found === 'directory') throw new Error('it is a file')
  t.teardown(() => closeSync(found.fd))
  t.equal(found.name, 'index.html')
  t.equal(found.stat.ino, fstatSync(found.fd).ino)
  t.equal(found.stat.size, 3)
})
