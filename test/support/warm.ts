/**
 * Warm spawners for tests: one that is closed in teardown, and runs of scripts through it.
 *
 * `run` answers what the world sees of a program, and whether it was forked or started fresh.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { ByteString, ProgramExit } from '../../src/gateway.js'
import type { Logger } from '../../src/log.js'
import type { Child, Spawner, SpawnSpec, WarmSpawner } from '../../src/process/spawner.js'
import { missing } from './peers.js'
import type { LogRecord } from './serve.js'
import { spawnerNamed } from './spawners.js'

/** What a program has said, and how it ended. */
export interface Outcome {
  readonly pid: number
  readonly stdout: string
  readonly stderr: string
  readonly exit: ProgramExit
  /** Its parent is a fork server. */
  readonly forked: boolean
}

export interface WarmUnderTest {
  readonly fresh: Spawner
  readonly warm: WarmSpawner
  readonly records: readonly LogRecord[]
  /** Pid of the fork server that was ready last. */
  readonly server: () => number
}

/** A warm spawner, or undefined after the test was told to skip. */
export async function warmSpawner(
  t: Test,
  options: { readonly patienceMs?: number } = {},
): Promise<WarmUnderTest | undefined> {
  const fresh = await spawnerNamed('default')
  if (fresh.warm === undefined) {
    missing(t, 'posix_spawn')
    return undefined
  }
  const records: LogRecord[] = []
  const record =
    (level: keyof Logger): Logger['info'] =>
    (fields, message) =>
      void records.push({ level, fields, message })
  const log = {
    debug: record('debug'),
    info: record('info'),
    warn: record('warn'),
    error: record('error'),
  }
  const isRequestVariable = (name: string): boolean => name.startsWith('Q_')
  const warm = fresh.warm({ log, isRequestVariable, ...options })
  t.teardown(() => warm.close())
  const server = (): number => {
    const ready = records.filter(({ message }) => message === 'a fork server is ready')
    return Number(ready.at(-1)?.fields.pid)
  }
  return { fresh, warm, records, server }
}

/** A file of test/fixtures/programs/warm. */
export function warmProgram(name: string): ByteString {
  return fileURLToPath(new URL(`../fixtures/programs/warm/${name}`, import.meta.url))
}

/** A spec for a script, with `more` in its environment. */
export function scriptSpec(file: ByteString, more: readonly ByteString[] = []): SpawnSpec {
  return {
    file,
    argv: [file],
    env: ['PATH=/usr/bin:/bin', 'LANG=C.UTF-8', ...more],
    cwd: file.slice(0, file.lastIndexOf('/')),
    stdin: 'none',
  }
}

/** Runs a program to its end; `body` goes to its stdin where that is a pipe. */
export async function run(spawner: Spawner, spec: SpawnSpec, body = ''): Promise<Outcome> {
  const child = await spawner.spawn(spec)
  const forked = parentOf(child.pid) !== process.pid
  const output = Promise.all([textOf(child.stdout), textOf(child.stderr)])
  child.stdin?.write(Buffer.from(body, 'latin1'))
  child.stdin?.end()
  const [[stdout, stderr], exit] = await Promise.all([output, child.exited])
  child.stdin?.close()
  return { pid: child.pid, stdout, stderr, exit, forked }
}

/** Everything that comes, as latin-1. */
export function textOf(reader: Child['stdout']): Promise<string> {
  return new Promise(resolve => {
    let text = ''
    reader.start(
      chunk => {
        text += chunk.toString('latin1')
      },
      () => resolve(text),
    )
  })
}

/** The process is at least a zombie until its end has been seen here. */
function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
}
