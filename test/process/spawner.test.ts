// One suite over every spawner: what `spawner.ts` promises, seen from the child's side.
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { silentLogger } from '../../src/log.js'
import { chooseSpawner } from '../../src/process/choose.js'
import type { Child, Spawner, SpawnSpec } from '../../src/process/spawner.js'

const shell = (script: string, more: Partial<SpawnSpec> = {}): SpawnSpec => ({
  file: '/bin/sh',
  argv: ['sh', '-c', script],
  env: ['PATH=/usr/bin:/bin'],
  cwd: '/',
  stdin: 'none',
  ...more,
})

interface Output {
  readonly stdout: Buffer
  readonly stderr: Buffer
}

function collect(child: Child, onData = (): void => {}): Promise<Output> {
  const read = (reader: Child['stdout']): Promise<Buffer> =>
    new Promise(resolve => {
      const chunks: Buffer[] = []
      reader.start(
        chunk => {
          chunks.push(chunk)
          onData()
        },
        () => resolve(Buffer.concat(chunks)),
      )
    })
  return Promise.all([read(child.stdout), read(child.stderr)]).then(([stdout, stderr]) => ({
    stdout,
    stderr,
  }))
}

const descriptors = (): number => readdirSync('/proc/self/fd').length

function suite(t: Test, spawner: Spawner): void {
  const run = async (spec: SpawnSpec): Promise<Output> => {
    const child = await spawner.spawn(spec)
    const [output] = await Promise.all([collect(child), child.exited])
    return output
  }

  t.test('C-3: descriptors 0, 1 and 2, and nothing else', async t => {
    const held = openSync('/dev/zero', 'r')
    t.teardown(() => closeSync(held))
    // ls itself opens the directory, as the lowest free number: 3.
    const { stdout } = await run(shell('ls /proc/self/fd'))
    const low = stdout
      .toString()
      .split('\n')
      .filter(fd => fd !== '' && Number(fd) < 20)
    t.same(low.sort(), ['0', '1', '2', '3'])
  })

  t.test('C-4: without a body, descriptor 0 is /dev/null', async t => {
    const { stdout } = await run(shell('readlink /proc/self/fd/0; cat | wc -c'))
    t.equal(stdout.toString().trim().replace(/\s+/g, ' '), '/dev/null 0')
  })

  t.test('C-5, N-2: /dev/stdin, /dev/stdout and /dev/stderr open', async t => {
    const child = await spawner.spawn(
      shell('cat /dev/stdin >/dev/stdout; echo err >/dev/stderr', { stdin: 'pipe' }),
    )
    // Opened before the body ends: a named pipe (node) has no end of file for who opens it later.
    child.stdin?.write(Buffer.from('through'))
    const output = collect(child, () => child.stdin?.end())
    const { stdout, stderr } = await output
    t.equal(stdout.toString(), 'through')
    t.equal(stderr.toString(), 'err\n')
    t.equal((await child.exited).code, 0)
  })

  t.test('C-6: it leads a session and a group of its own', async t => {
    const child = await spawner.spawn(shell('cut -d" " -f1,5,6 /proc/$$/stat'))
    const [{ stdout }] = await Promise.all([collect(child), child.exited])
    t.equal(stdout.toString().trim(), `${child.pid} ${child.pid} ${child.pid}`)
  })

  t.test('C-8: no signal is ignored or blocked', async t => {
    const { stdout } = await run(shell('grep -E "^Sig(Blk|Ign)" /proc/self/status'))
    t.match(stdout.toString(), /SigBlk:\t0{16}/)
    // The C library keeps 32 and 33 to itself, and its posix_spawn leaves them ignored.
    t.match(stdout.toString(), /SigIgn:\t0{7}[01][80]0{7}/)
  })

  t.test('N-1, B-22: environment, arguments and directory keep their bytes', async t => {
    const directory = mkdtempSync(join(tmpdir(), 'postern-spawn-'))
    t.teardown(() => rmSync(directory, { recursive: true }))
    const { stdout } = await run({
      ...shell('printf %s "$1"; printf "|%s|%s" "$RAW" "$TEXT"; pwd'),
      argv: ['sh', '-c', 'printf %s "$1"; printf "|%s|%s|" "$RAW" "$TEXT"; pwd', 'sh', 'a\xff b\n'],
      env: ['PATH=/usr/bin:/bin', 'RAW=\xe9\x80 "$x`\n', 'TEXT=\xc3\xa9', 'EMPTY='],
      cwd: directory,
    })
    t.equal(stdout.toString('latin1'), `a\xff b\n|\xe9\x80 "$x\`\n|\xc3\xa9|${directory}\n`)
  })

  t.test('B-0: the environment is what was given', async t => {
    const { stdout } = await run({
      ...shell(''),
      file: '/usr/bin/env',
      argv: ['env', '-0'],
      env: ['A=1', 'B='],
    })
    // The test runner adds variables of its own to every child_process.
    const ours = stdout
      .toString()
      .split('\0')
      .filter(entry => !/^(_TAPJS|NODE_OPTIONS=)/.test(entry))
    t.same(ours, ['A=1', 'B=', ''])
  })

  t.test('a descriptor as stdin: read from its offset, and it stays open here', async t => {
    const directory = mkdtempSync(join(tmpdir(), 'postern-spawn-'))
    t.teardown(() => rmSync(directory, { recursive: true }))
    writeFileSync(join(directory, 'body'), 'spooled')
    const fd = openSync(join(directory, 'body'), 'r')
    const { stdout } = await run(shell('cat', { stdin: fd }))
    t.equal(stdout.toString(), 'spooled')
    closeSync(fd)
  })

  t.test('exit status and signal', async t => {
    for (const status of [0, 3, 255]) {
      const child = await spawner.spawn(shell(`exit ${status}`))
      await collect(child)
      t.match(await child.exited, { code: status, signal: undefined })
    }
    const child = await spawner.spawn(shell('kill -SEGV $$'))
    await collect(child)
    t.match(await child.exited, { code: undefined, signal: 'SIGSEGV' })
  })

  t.test('F-9: resource usage, where it is told', async t => {
    const script = 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo x; read line'
    const child = await spawner.spawn({ ...shell(script), stdin: 'pipe' })
    // Its memory is looked at when its output is seen, so it stays until then.
    child.stdout.start(
      () => child.stdin?.end(),
      () => {},
    )
    child.stderr.start(
      () => {},
      () => {},
    )
    const { usage } = await child.exited
    if (spawner.name === 'node') {
      t.equal(usage, undefined)
      return
    }
    const cpu = (usage?.userUs ?? 0) + (usage?.systemUs ?? 0)
    t.ok(cpu > 1_000 && cpu < 10_000_000, `${cpu} microseconds of CPU`)
    const peak = usage?.maxRssKiB
    t.ok(peak !== undefined && peak > 100 && peak < 30_000, `${peak} KiB: the shell's, not ours`)
  })

  t.test('F-5, N-9: kill reaches the whole group, and says when nobody is left', async t => {
    const child = await spawner.spawn(shell('sleep 60 & echo $!; wait'))
    const grandchild = await new Promise<number>(resolve => {
      child.stdout.start(
        chunk => resolve(Number(chunk.toString())),
        () => {},
      )
    })
    t.ok(existsSync(`/proc/${grandchild}`))
    t.equal(child.kill('SIGKILL'), true)
    t.match(await child.exited, { signal: 'SIGKILL' })
    while (child.kill('SIGKILL')) await new Promise(setImmediate)
    const state = existsSync(`/proc/${grandchild}/stat`)
      ? readFileSync(`/proc/${grandchild}/stat`, 'latin1')
      : ' Z '
    t.match(state, / Z /, 'gone, or waiting for init to reap it')
    child.stdout.close()
    child.stderr.close()
  })

  t.test('C-7: a start that fails says why and leaves nothing open', async t => {
    const directory = mkdtempSync(join(tmpdir(), 'postern-spawn-'))
    t.teardown(() => rmSync(directory, { recursive: true }))
    const file = (name: string, content: string, mode: number): string => {
      writeFileSync(join(directory, name), content, { mode })
      return join(directory, name)
    }
    await run(shell('true'))
    const before = descriptors()
    const cases: [string, Partial<SpawnSpec>][] = [
      ['ENOENT', { file: join(directory, 'missing') }],
      ['ENOENT', { cwd: join(directory, 'missing') }],
      ['ENOENT', { file: file('crlf', '#!/bin/sh\r\n', 0o755) }],
      ['ENOEXEC', { file: file('plain', 'echo hello\n', 0o755) }],
      ['ENOEXEC', { file: file('empty', '', 0o755) }],
      ['EACCES', { file: file('mode', '#!/bin/sh\n', 0o644) }],
      ['E2BIG', { env: [`BIG=${'x'.repeat(200_000)}`] }],
    ]
    for (const [code, more] of cases) {
      const start = spawner.spawn(shell('true', { stdin: 'pipe', ...more }))
      await t.rejects(start, { name: 'SpawnError', code }, `${code} ${Object.keys(more)}`)
    }
    t.equal(descriptors(), before)
  })

  t.test('backpressure: a paused reader stops the program, and nothing is lost', async t => {
    const child = await spawner.spawn(shell('head -c 8000000 /dev/zero'))
    let bytes = 0
    let paused = false
    const done = new Promise<void>(resolve => {
      child.stdout.start(chunk => {
        t.notOk(paused, 'nothing arrives while paused')
        bytes += chunk.length
        paused = true
        child.stdout.pause()
        setImmediate(() => {
          paused = false
          child.stdout.resume()
        })
      }, resolve)
    })
    child.stderr.start(
      () => {},
      () => {},
    )
    await Promise.all([done, child.exited])
    t.equal(bytes, 8_000_000)
  })

  t.test('D-8: a program that reads slowly makes write answer false, then drains', async t => {
    const child = await spawner.spawn(shell('read line; wc -c', { stdin: 'pipe' }))
    const { stdin } = child
    if (stdin === undefined) throw new Error('no stdin')
    const output = collect(child)
    const big = Buffer.alloc(300_000, 'x')
    const drained = new Promise<void>(resolve => stdin.onDrain(resolve))
    t.equal(stdin.write(big), false)
    stdin.write(Buffer.from('\nend'))
    stdin.end()
    await drained
    t.equal((await output).stdout.toString().trim(), '3')
    t.equal((await child.exited).code, 0)
  })

  t.test('D-6: a reader that has gone is told once and is no error', async t => {
    const child = await spawner.spawn(shell('exec 0<&-; echo closed; sleep 0.2', { stdin: 'pipe' }))
    const { stdin } = child
    if (stdin === undefined) throw new Error('no stdin')
    let gone = 0
    const told = new Promise<void>(resolve => stdin.onGone(() => resolve(void gone++)))
    const closed = new Promise<void>(resolve =>
      child.stdout.start(
        () => resolve(),
        () => {},
      ),
    )
    child.stderr.start(
      () => {},
      () => {},
    )
    await closed
    stdin.write(Buffer.alloc(100))
    await told
    stdin.write(Buffer.alloc(100))
    stdin.end()
    t.equal(gone, 1)
    await child.exited
  })

  t.test('two hundred at once: each its own output, no descriptor left', async t => {
    await run(shell('true'))
    const before = descriptors()
    const numbers = Array.from({ length: 200 }, (_, i) => i)
    const outputs = await Promise.all(numbers.map(i => run(shell(`echo ${i}; echo e${i} >&2`))))
    t.same(
      outputs.map(output => output.stdout.toString()),
      numbers.map(i => `${i}\n`),
    )
    t.same(
      outputs.map(output => output.stderr.toString()),
      numbers.map(i => `e${i}\n`),
    )
    t.equal(descriptors(), before)
  })
  t.end()
}

for (const name of ['posix', 'node']) {
  t.test(name, async t => {
    try {
      const { spawner } = await chooseSpawner({ POSTERN_SPAWN: name })
      t.equal(spawner.name, name)
      await t.test('contract', t => suite(t, spawner))
      const { warm } = spawner
      if (warm === undefined) return
      const forking = warm({ log: silentLogger, isRequestVariable: () => false })
      // No fork server is written for a shell: the same suite holds for what is started fresh beside the others.
      await t.test('contract, warm', t => suite(t, forking))
      await forking.close()
    } catch (error) {
      if (process.env.REQUIRE_PEERS === '1') throw error
      t.pass(`skipped: ${String(error)}`, { skip: String(error) })
    }
  })
}
