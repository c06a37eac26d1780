/**
 * The command `fcgi`: FastCGI workers on one socket, for a web server that starts none itself.
 *
 * Flags, supervisor, banner, and then waiting for a signal. Requests go from the web server straight to
 * the workers and are not seen here.
 */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { fromText } from '../byte-string.js'
import { createEnvironment } from '../cgi/environment.js'
import type { ByteString } from '../gateway.js'
import { chooseSpawner } from '../process/choose.js'
import { ListenError } from '../process/listen-socket.js'
import { SpawnError, type Spawner } from '../process/spawner.js'
import { ConfigError } from '../server/config-error.js'
import { printable } from '../server/printable.js'
import { findProgram, isProgram, searchPathOf } from '../server/search-path.js'
import { describeAddress } from '../upstream/address.js'
import { Supervisor, WorkersFailed } from '../worker/supervisor.js'
import { type FcgiFlags, readFcgiFlags } from './fcgi-flags.js'
import { createLogger } from './log-lines.js'
import { openOutput } from './output.js'
import { writePidFile } from './pid-file.js'
import { Interrupted, interruptible, untilStopped } from './stop-signals.js'

const noEnv = { set: {}, pass: [] }

/**
 * Keeps workers running until a signal comes.
 * @returns the exit code: 1 when the workers do not become ready
 * @throws ConfigError for flags that cannot be followed, and a command that cannot be executed
 */
export async function runFcgi(
  words: readonly string[],
  version: string,
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const flags = readFcgiFlags(words, version)
  if (flags === undefined) return 0
  const output = openOutput(1)
  const errors = openOutput(2)
  const flushed = () => Promise.all([output.flush(), errors.flush()])
  const log = await createLogger({ access: 'combined', level: 'info' }, errors)
  const spawner = await spawnerOfWorkers(env)
  const supervisor = new Supervisor({
    config: {
      ...flags.workers,
      command: [findCommand(flags, env), ...flags.command.slice(1)],
      env: workerEnvironment(flags, env),
    },
    listen: { kind: 'shared', address: flags.address },
    capacity: 1,
    upstreams: undefined,
    spawner,
    log,
    ready: undefined,
  })
  try {
    await interruptible(signal => start(supervisor, signal))
  } catch (error) {
    await flushed()
    if (error instanceof Interrupted) return error.exitCode
    if (error instanceof WorkersFailed) return explain(error, flags)
    throw error
  }
  output.write(banner(version, flags, supervisor))
  const pidFile = writePidFile(process.cwd(), process.pid, env)
  if (pidFile.problem !== undefined) log.warn({}, pidFile.problem)
  const code = await untilStopped(supervisor, log)
  pidFile.remove()
  await flushed()
  return code
}

/** @throws ConfigError where only child_process is to be had: it comes without blocking sockets */
async function spawnerOfWorkers(env: NodeJS.ProcessEnv): Promise<Spawner> {
  const { spawner, reason } = await chooseSpawner(env).catch((error: unknown) => {
    const problem = error instanceof Error ? error.message : String(error)
    throw new ConfigError({ builtIn: true }, problem, 'correct the environment variable')
  })
  if (spawner.name !== 'node') return spawner
  throw new ConfigError(
    { flag: 'fcgi' },
    `workers need a blocking socket, which is opened through koffi only (${reason})`,
    'install koffi on Linux with glibc and leave POSTERN_SPAWN unset, or use spawn-fcgi',
  )
}

/** Starts, unless a signal comes first; then all is ended before this rejects. */
async function start(supervisor: Supervisor, signal: AbortSignal): Promise<void> {
  let closed: Promise<void> | undefined
  const stop = (): void => {
    closed = supervisor.close()
  }
  signal.addEventListener('abort', stop, { once: true })
  try {
    await supervisor.start()
  } catch (error) {
    if (!signal.aborted) throw error
  }
  signal.removeEventListener('abort', stop)
  await closed
  signal.throwIfAborted()
}

function banner(version: string, { command }: FcgiFlags, { address, workers }: Supervisor): string {
  const where = address === undefined ? '' : describeAddress(address)
  const pids = workers.map(({ pid }) => pid).filter(pid => pid !== undefined)
  const number = `${pids.length} ${pids.length === 1 ? 'worker' : 'workers'}`
  const list = pids.length === 0 ? ', started on demand' : ` (${pids.join(', ')})`
  return `${printable(`Postern ${version} on ${where}: ${number} of ${command.join(' ')}${list}`)}\n`
}

/**
 * Absolute path of the program: as a shell would find it from here.
 * @throws ConfigError when there is none
 */
function findCommand({ command, workers }: FcgiFlags, env: NodeJS.ProcessEnv): string {
  const [word = ''] = command
  if (statSync(workers.directory, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new ConfigError(
      { flag: '--directory' },
      `there is no folder ${workers.directory}`,
      'create it, or correct the path',
    )
  }
  if (!word.includes('/')) {
    const file = findProgram(word, searchPathOf(noEnv, env))
    if (file !== undefined) return file
    throw new ConfigError(
      { flag: word },
      'there is no such program on PATH',
      isProgram(resolve(word)) ? `write ./${word}` : 'install it, or write its path',
    )
  }
  const file = resolve(word)
  if (isProgram(file)) return file
  const exists = statSync(file, { throwIfNoEntry: false })?.isFile() === true
  throw new ConfigError(
    { flag: word },
    exists ? 'it may not be executed' : 'there is no such program',
    exists ? `chmod +x ${word}` : 'correct the path',
  )
}

/** The host's allow-list as for scripts, and what `--env` says, names as they were typed. */
function workerEnvironment({ env: own }: FcgiFlags, host: NodeJS.ProcessEnv): ByteString[] {
  const entries = new Map<string, ByteString>()
  for (const entry of createEnvironment(noEnv, host)(new Map())) {
    entries.set(entry.slice(0, entry.indexOf('=')), entry)
  }
  for (const [name, value] of own) entries.set(fromText(name), fromText(`${name}=${value}`))
  return [...entries.values()]
}

/** A start that failed: mistakes of the flags are thrown, the rest is told on stderr. */
function explain(error: WorkersFailed, { command }: FcgiFlags): number {
  const { cause } = error
  if (cause instanceof ListenError) throw listenMistake(cause)
  if (cause instanceof SpawnError) {
    throw new ConfigError(
      { flag: command[0] ?? '' },
      `it cannot be executed (${cause.code})`,
      cause.code === 'ENOENT'
        ? 'the program after #! in its first line does not exist'
        : 'it has to be a program of this machine, or a script that begins with #!',
    )
  }
  // Escaped already, and the line ends of the program's stderr are meant.
  process.stderr.write(`postern: ${error.message}\n`)
  return 1
}

function listenMistake({ code, message }: ListenError): ConfigError {
  const remedies: Readonly<Record<string, string>> = {
    EADDRINUSE: 'stop the process that listens there, or name another address',
    ENOENT: 'create the folder of the socket, or name another path',
    EACCES: 'name an address that this user may use',
    ENAMETOOLONG: 'name a shorter path: the system takes 107 bytes',
    EADDRNOTAVAIL: 'name an address of this machine, for example 127.0.0.1:9000',
  }
  return new ConfigError({ flag: '--socket' }, message, remedies[code] ?? 'name another address')
}
