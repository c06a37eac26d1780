/**
 * git clone, fetch and push through `git http-backend`, one program for a whole prefix (conventions K,
 * D-2, B-24, B-27, L-2, L-3): gzip'd and chunked bodies, protocol version 2, 20 MB of random data.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { missing, peer } from '../support/peers.js'
import { cgiRoute, startTestServer, type TestServer } from '../support/serve.js'
import { tempRoot } from '../support/temp-root.js'

const run = promisify(execFile)
const MB = 1_000_000

t.setTimeout(180_000)

const identity = ['-c', 'user.name=Tester', '-c', 'user.email=tester@example.test']

/** Makes git tell on stderr what it sends and receives. */
const tracing = { GIT_TRACE_PACKET: '1', GIT_TRACE_CURL: '1', GIT_TRACE_CURL_NO_DATA: '1' }

/** Runs git in a folder, with no configuration but the given; stdout and stderr together. */
async function git(folder: string, ...args: string[]): Promise<string> {
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    ...(args.includes('--traced') ? tracing : {}),
  }
  const words = args.filter(word => word !== '--traced')
  const { stdout, stderr } = await run('git', [...identity, ...words], {
    cwd: folder,
    env,
    maxBuffer: 64 * MB,
  })
  return `${stdout}${stderr}`
}

/** A server for the repositories below `projects`, or undefined where git cannot serve. */
async function serveGit(t: Test, projects: string): Promise<TestServer | undefined> {
  if (peer(t, 'git') === undefined) return undefined
  const { stdout } = await run('git', ['--exec-path'])
  const backend = join(stdout.trim(), 'git-http-backend')
  if (!existsSync(backend)) {
    missing(t, 'git-http-backend')
    return undefined
  }
  const set = {
    GIT_PROJECT_ROOT: projects,
    GIT_HTTP_EXPORT_ALL: '1',
    REMOTE_USER: 'tester',
    // The repositories belong to whoever runs the tests; HOME keeps foreign settings out.
    HOME: projects,
  }
  return await startTestServer(t, {
    routes: root => [
      cgiRoute(root, {
        path: '/git/',
        target: backend,
        program: true,
        preset: 'git',
        env: { set, pass: [] },
      }),
    ],
  })
}

/** A repository with one commit of `bytes` random bytes and many small files. */
async function makeRepository(folder: string, bytes: number): Promise<void> {
  mkdirSync(folder, { recursive: true })
  await git(folder, 'init', '--quiet', '--initial-branch=main')
  writeFileSync(join(folder, 'random.bin'), randomBytes(bytes))
  mkdirSync(join(folder, 'small'))
  for (let i = 0; i < 300; i++) writeFileSync(join(folder, 'small', `${i}.txt`), `file ${i}\n`)
  await git(folder, 'add', '.')
  await git(folder, 'commit', '--quiet', '-m', 'first')
}

t.test('git clone, push and fetch', async t => {
  const root = tempRoot(t)
  const projects = join(root.path, 'projects')
  mkdirSync(projects)
  const server = await serveGit(t, projects)
  if (server === undefined) return
  const url = `${server.origin}/git/repo.git`
  const work = join(root.path, 'work')
  await makeRepository(work, 20 * MB)
  await git(projects, 'init', '--quiet', '--bare', '--initial-branch=main', 'repo.git')
  const head = (await git(work, 'rev-parse', 'HEAD')).trim()

  await t.test('push 20 MB, chunked', async t => {
    await git(work, '-c', 'http.postBuffer=65536', 'push', '--quiet', url, 'main')
    t.equal((await git(join(projects, 'repo.git'), 'rev-parse', 'main')).trim(), head)
    const pushed = await server.accessFor('/git/repo.git/git-receive-pack"')
    t.match(pushed, { status: 200 })
  })

  await t.test('push more, with a length', async t => {
    writeFileSync(join(work, 'more.bin'), randomBytes(3 * MB))
    await git(work, 'add', '.')
    await git(work, 'commit', '--quiet', '-m', 'second')
    await git(work, '-c', 'http.postBuffer=33554432', 'push', '--quiet', url, 'main')
    t.equal(
      (await git(join(projects, 'repo.git'), 'rev-parse', 'main')).trim(),
      (await git(work, 'rev-parse', 'HEAD')).trim(),
    )
  })

  await t.test('clone over protocol version 2', async t => {
    const out = await git(root.path, '-c', 'protocol.version=2', 'clone', '--traced', url, 'cloned')
    t.match(out, /version 2/, 'GIT_PROTOCOL reached the program')
    const cloned = join(root.path, 'cloned')
    t.equal(
      (await git(cloned, 'rev-parse', 'HEAD')).trim(),
      (await git(work, 'rev-parse', 'HEAD')).trim(),
    )
    await git(cloned, 'fsck', '--strict')
  })

  await t.test('clone over protocol version 0', async t => {
    await git(root.path, '-c', 'protocol.version=0', 'clone', '--quiet', url, 'old')
    t.equal(existsSync(join(root.path, 'old/random.bin')), true)
  })

  await t.test('B-24, L-3 fetch with a gzip’d body', async t => {
    // From 1024 bytes on git compresses; a hundred commits that the server has not make that many haves.
    const cloned = join(root.path, 'cloned')
    for (let i = 0; i < 100; i++) {
      await git(cloned, 'commit', '--quiet', '--allow-empty', '-m', `own ${i}`)
    }
    writeFileSync(join(work, 'news.txt'), 'news')
    await git(work, 'add', '.')
    await git(work, 'commit', '--quiet', '-m', 'news')
    await git(work, 'push', '--quiet', url, 'main')
    const out = await git(cloned, 'fetch', '--traced', 'origin')
    t.match(out, /Content-Encoding: gzip/i, 'the body was compressed')
    t.equal(
      (await git(cloned, 'rev-parse', 'origin/main')).trim(),
      (await git(work, 'rev-parse', 'HEAD')).trim(),
    )
  })

  t.same(
    server.records.filter(record => record.level === 'error'),
    [],
    'no errors on the way',
  )
})

t.test('a repository that is not there', async t => {
  const root = tempRoot(t)
  const server = await serveGit(t, root.path)
  if (server === undefined) return
  const response = await server.request('/git/none.git/info/refs?service=git-upload-pack')
  t.equal(response.status, 404)
  await t.rejects(
    git(root.path, 'clone', '--quiet', `${server.origin}/git/none.git`, 'x'),
    /not found/,
  )
})
