/**
 * Starts processes by node:child_process, for systems where FFI is not to be had.
 *
 * The same promises as `posix.ts`, at a higher price: named pipes instead of socket pairs, a shell
 * launcher (`raw-env.sh`) for the rare environment that is not UTF-8, and no resource usage. spawn()
 * blocks the event loop for a millisecond or two per start, and whoever opens /dev/stdin anew after the
 * body has ended waits for ever, as named pipes have it.
 */
import { spawn as nodeSpawn } from 'node:child_process'
import { accessSync, closeSync, constants, openSync, readSync } from 'node:fs'
import { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { toText } from '../byte-string.js'
import type { ByteString, ProgramExit } from '../gateway.js'
import { FifoPool, type PipeEnds } from './fifo.js'
import {
  type Child,
  type PipeReader,
  type PipeWriter,
  SpawnError,
  type Spawner,
  type SpawnSpec,
} from './spawner.js'

const launcher = fileURLToPath(new URL('./raw-env.sh', import.meta.url))

/** A spawner that holds a pool of named pipes for as long as the process lives. */
export function createNodeSpawner(): Spawner {
  let pool: FifoPool | undefined
  return {
    name: 'node',
    spawn: spec => {
      pool ??= new FifoPool()
      return spawn(pool, spec)
    },
  }
}

async function spawn(pool: FifoPool, spec: SpawnSpec): Promise<Child> {
  refuseWithoutFormat(spec.file)
  const pipes: PipeEnds[] = []
  const childs: number[] = []
  try {
    const stdout = await openInto(pipes, pool, true, spec.file)
    const stderr = await openInto(pipes, pool, true, spec.file)
    const stdin = spec.stdin === 'pipe' ? await openInto(pipes, pool, false, spec.file) : undefined
    childs.push(...pipes.map(pipe => pipe.childs))
    const input = typeof spec.stdin === 'number' ? spec.stdin : (stdin?.childs ?? 'ignore')
    const { pid, exited } = await start(spec, [input, stdout.childs, stderr.childs])
    return {
      pid,
      stdin: stdin && socketWriter(stdin.ours),
      stdout: socketReader(stdout.ours),
      stderr: socketReader(stderr.ours),
      exited,
      kill: signal => killGroup(pid, signal),
    }
  } catch (error) {
    for (const pipe of pipes) closeSync(pipe.ours)
    throw error
  } finally {
    for (const fd of childs) closeSync(fd)
  }
}

async function openInto(
  pipes: PipeEnds[],
  pool: FifoPool,
  weRead: boolean,
  file: ByteString,
): Promise<PipeEnds> {
  try {
    const pipe = await pool.open(weRead)
    pipes.push(pipe)
    return pipe
  } catch (error) {
    throw new SpawnError(codeOf(error), file)
  }
}

interface Started {
  readonly pid: number
  readonly exited: Promise<ProgramExit>
}

function start(spec: SpawnSpec, stdio: readonly (number | 'ignore')[]): Promise<Started> {
  const command = asText(spec)
  return new Promise((resolve, reject) => {
    try {
      const child = nodeSpawn(command.file, command.argv.slice(1), {
        argv0: command.argv[0] ?? command.file,
        cwd: command.cwd,
        env: command.env,
        stdio: [...stdio],
        detached: true,
      })
      child.once('error', error => reject(new SpawnError(codeOf(error), spec.file)))
      const exited = new Promise<ProgramExit>(ended => {
        child.once('exit', (code, signal) =>
          ended({ code: code ?? undefined, signal: signal ?? undefined, usage: undefined }),
        )
      })
      const { pid } = child
      if (pid !== undefined) child.once('spawn', () => resolve({ pid, exited }))
    } catch (error) {
      // NUL in an argument, E2BIG and the like are thrown at once.
      reject(new SpawnError(codeOf(error), spec.file))
    }
  })
}

interface TextCommand {
  readonly file: string
  readonly argv: readonly string[]
  readonly cwd: string
  readonly env: Record<string, string>
}

/** Node takes text only and writes it as UTF-8; whatever is not UTF-8 goes through the launcher. */
function asText(spec: SpawnSpec): TextCommand {
  const env: Record<string, string> = {}
  const raw: string[] = []
  for (const entry of spec.env) {
    const text = toText(entry)
    const at = entry.indexOf('=')
    if (text === undefined) raw.push(entry.slice(0, at), octal(entry.slice(at + 1)))
    else env[text.slice(0, text.indexOf('='))] = text.slice(text.indexOf('=') + 1)
  }
  const file = toText(spec.file)
  const cwd = toText(spec.cwd)
  const argv = spec.argv.map(toText)
  if (file !== undefined && cwd !== undefined && raw.length === 0 && !argv.includes(undefined)) {
    return { file, argv: argv.filter(word => word !== undefined), cwd, env }
  }
  const words = [String(raw.length / 2), ...raw, octal(spec.cwd), octal(spec.file)]
  return {
    file: '/bin/sh',
    argv: ['sh', launcher, ...words, ...spec.argv.slice(1).map(octal)],
    cwd: '/',
    env,
  }
}

/** `\ooo` for each byte, as printf(1) reads it. */
function octal(bytes: ByteString): string {
  let text = ''
  for (let i = 0; i < bytes.length; i++) {
    text += `\\0${bytes.charCodeAt(i).toString(8).padStart(3, '0')}`
  }
  return text
}

/** libuv runs a file without a known format through /bin/sh; execve refuses it, and so do we. */
function refuseWithoutFormat(file: ByteString): void {
  let fd: number
  try {
    accessSync(Buffer.from(file, 'latin1'), constants.X_OK)
    fd = openSync(Buffer.from(file, 'latin1'), 'r')
  } catch {
    // The start itself will say why.
    return
  }
  const magic = Buffer.alloc(4)
  try {
    readSync(fd, magic, 0, 4, 0)
  } catch {
    return
  } finally {
    closeSync(fd)
  }
  const text = magic.toString('latin1')
  if (text.startsWith('#!')) return
  // Other systems have other formats; ELF is what Linux has.
  if (process.platform === 'linux' && text !== '\x7fELF') throw new SpawnError('ENOEXEC', file)
}

function killGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal)
  } catch {
    return false
  }
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : 'EUNKNOWN'
}

function socketReader(fd: number): PipeReader {
  let closed = false
  const socket = new Socket({ fd, readable: true, writable: false })
  // A pipe has no errors that end of file does not tell.
  socket.on('error', () => {})
  return {
    start: (data, end) => {
      let ended = false
      const endOnce = (): void => {
        if (ended) return
        ended = true
        end()
      }
      socket.on('data', data)
      socket.once('end', endOnce)
      socket.once('close', () => {
        if (!closed) endOnce()
      })
    },
    recycle: () => {},
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    close: () => {
      closed = true
      socket.destroy()
    },
  }
}

function socketWriter(fd: number): PipeWriter {
  const socket = new Socket({ fd, readable: false, writable: true })
  let gone = (): void => {}
  let drained = (): void => {}
  let waiting = 0
  socket.on('error', () => gone())
  return {
    write: chunk => {
      waiting++
      // Not the drain event: that one is left out when the end has been announced.
      const taken = socket.write(chunk, () => {
        waiting--
        if (!taken && waiting === 0) drained()
      })
      return taken
    },
    onDrain: then => {
      drained = then
    },
    onGone: then => {
      gone = then
    },
    end: () => void socket.end(),
    close: () => void socket.destroy(),
  }
}
