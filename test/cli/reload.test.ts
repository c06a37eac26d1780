/** `postern reload` and the pid files that it reads: whom it signals, and whom it never does. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { findServers, writePidFile } from '../../src/cli/pid-file.js'
import { isAlive } from '../support/processes.js'
import { tempRoot } from '../support/temp-root.js'
import { runPostern } from './command.js'

/** A process that HUP ends, as most do. */
async function sleeper(t: Test): Promise<{ pid: number; ended: Promise<unknown[]> }> {
  const child = spawn('/bin/sleep', ['1000'], { stdio: 'ignore' })
  const ended = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  await once(child, 'spawn')
  return { pid: child.pid ?? 0, ended }
}

t.test('the server of this folder gets HUP, that of another does not', async t => {
  const here = tempRoot(t)
  const there = tempRoot(t)
  const env = { XDG_RUNTIME_DIR: here.path }
  const [ours, theirs] = [await sleeper(t), await sleeper(t)]
  t.equal(writePidFile(here.path, ours.pid, env).problem, undefined)
  writePidFile(there.path, theirs.pid, env)
  const { code, stdout } = await runPostern(t, here.path, ['reload'], env)
  t.equal(stdout, `process ${ours.pid} replaces its workers\n`)
  t.equal(code, 0)
  t.same(await ours.ended, [null, 'SIGHUP'])
  t.ok(isAlive(theirs.pid))
  const byPid = await runPostern(t, here.path, ['reload', '--pid', String(theirs.pid)], env)
  t.equal(byPid.code, 0)
  t.same(await theirs.ended, [null, 'SIGHUP'])
})

t.test('files are private, and gone once removed', async t => {
  const { path } = tempRoot(t)
  const env = { XDG_RUNTIME_DIR: path }
  const file = writePidFile(path, process.pid, env)
  const folder = join(path, 'postern')
  t.equal(statSync(folder).mode & 0o777, 0o700)
  const [name = ''] = readdirSync(folder)
  t.equal(statSync(join(folder, name)).mode & 0o777, 0o600)
  t.match(findServers(path, env), [{ pid: process.pid, running: true }])
  file.remove()
  file.remove()
  t.same(readdirSync(folder), [])
})

t.test('without XDG_RUNTIME_DIR the folder is below the temporary one', async t => {
  const { path } = tempRoot(t)
  const before = process.env.TMPDIR
  process.env.TMPDIR = path
  t.teardown(() => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  })
  writePidFile(path, process.pid, {})
  t.match(readdirSync(join(path, `postern-${process.getuid?.()}`)), [/^[0-9a-f]{32}-\d+\.pid$/])
})

t.test('a stale file: it says so, removes it, exit code 1', async t => {
  const { path } = tempRoot(t)
  const env = { XDG_RUNTIME_DIR: path }
  const child = spawn('/bin/true', { stdio: 'ignore' })
  const ended = once(child, 'exit')
  writePidFile(path, child.pid ?? 0, env)
  await ended
  const { code, stderr } = await runPostern(t, path, ['reload'], env)
  t.equal(code, 1)
  t.equal(
    stderr,
    `postern: process ${child.pid} has ended without a word; its stale pid file is removed\n`,
  )
  t.same(readdirSync(join(path, 'postern')), [])
})

t.test('another process that has got the number is left alone', async t => {
  const { path } = tempRoot(t)
  const env = { XDG_RUNTIME_DIR: path }
  const other = await sleeper(t)
  writePidFile(path, other.pid, env)
  const [name = ''] = readdirSync(join(path, 'postern'))
  writeFileSync(join(path, 'postern', name), `1\n${path}\n`)
  t.equal((await runPostern(t, path, ['reload'], env)).code, 1)
  t.ok(isAlive(other.pid))
})

t.test('no server here, or no server at all by that number', async t => {
  const { path } = tempRoot(t)
  const env = { XDG_RUNTIME_DIR: path }
  const other = await sleeper(t)
  const here = await runPostern(t, path, ['reload'], env)
  t.match(here, { code: 1, stderr: /^postern: no server was started in \S+; go to its folder/ })
  const byPid = await runPostern(t, path, ['reload', '--pid', String(other.pid)], env)
  t.match(byPid, { code: 1, stderr: /^postern: process \d+ is no server that this user started/ })
  t.ok(isAlive(other.pid))
})

t.test('a folder that others may write, or a link, is not trusted', async t => {
  const { path } = tempRoot(t)
  const env = { XDG_RUNTIME_DIR: path }
  const folder = join(path, 'postern')
  mkdirSync(folder)
  chmodSync(folder, 0o770)
  t.match(writePidFile(path, process.pid, env).problem, /is not a folder of this user alone/)
  t.match(await runPostern(t, path, ['reload'], env), {
    code: 1,
    stderr: /not a folder of this user alone/,
  })
  const linked = tempRoot(t)
  mkdirSync(join(linked.path, 'elsewhere'), { mode: 0o700 })
  symlinkSync(join(linked.path, 'elsewhere'), join(linked.path, 'postern'))
  t.match(
    writePidFile(path, process.pid, { XDG_RUNTIME_DIR: linked.path }).problem,
    /is not a folder of this user alone/,
  )
})

t.test('mistakes: exit code 2', async t => {
  for (const [words, line] of [
    [['--pid', 'x'], /^postern: --pid: expected a process id, got "x"/],
    [['--pid', '0'], /^postern: --pid: expected a process id, got "0"/],
    [['--pit', '1'], /^postern: --pit: unknown flag/],
    [['now'], /^postern: now: unexpected word/],
  ] as const) {
    t.match(await runPostern(t, '/', ['reload', ...words]), { code: 2, stderr: line })
  }
})
