/**
 * The command `serve`: settings, server, banner, and then waiting for a signal.
 *
 * Everything here is started in the order that gives the shortest way to the first answer: the socket
 * listens before scripts are looked at.
 */
import type { Logger } from '../log.js'
import type { Config } from '../server/config.js'
import { ConfigError } from '../server/config-error.js'
import { printable } from '../server/printable.js'
import { StartFailure } from '../server/start-failure.js'
import { firstLine, furtherLines, type ServerFacts } from './banner.js'
import type { ServeFlags } from './flags.js'
import { explainListenFailure, listenFailureOf } from './listen-failure.js'
import { createLogger } from './log-lines.js'
import { type Output, openOutput } from './output.js'
import { resolveSettings, type Settings } from './settings.js'
import type { Started } from './started.js'
import { Interrupted, interruptible, untilStopped } from './stop-signals.js'

/**
 * Serves until a signal comes.
 * @returns the exit code
 * @throws ConfigError for settings that cannot be served
 */
export async function serve(
  flags: ServeFlags,
  version: string,
  env: NodeJS.ProcessEnv,
): Promise<number> {
  return serveSettings(await resolveSettings(flags, env), version, env)
}

/** The same with settings that are complete. */
export async function serveSettings(
  settings: Settings,
  version: string,
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const { config, file } = settings
  const output = openOutput(1)
  const errors = openOutput(2)
  const log = await createLogger(config.log, errors)
  const started = await interruptible(signal => start(settings, log, output, env, signal)).catch(
    unlessNotStarted,
  )
  if ('exitCode' in started) {
    errors.write(started.line)
    await Promise.all([output.flush(), errors.flush()])
    return started.exitCode
  }
  const facts: ServerFacts = { version, file, ...started }
  output.write(firstLine(facts))
  const stopped = untilStopped(started, log)
  output.write(await furtherLines(config, facts, env))
  // For `postern reload`, which nobody types before the banner is there.
  const { writePidFile } = await import('./pid-file.js')
  const pidFile = writePidFile(process.cwd(), process.pid, env)
  if (pidFile.problem !== undefined) log.warn({}, pidFile.problem)
  const code = await stopped.finally(() => pidFile.remove())
  await Promise.all([output.flush(), errors.flush()])
  return code
}

interface NotStarted {
  readonly exitCode: number
  readonly line: string
}

/** What the user is told of a start that came to nothing, unless it is a bug or a mistake of settings. */
function unlessNotStarted(error: unknown): NotStarted {
  const message = error instanceof Error ? error.message : ''
  // Line by line: the last words of a program (a traceback) are several, each escaped.
  const line = `postern: ${message.split('\n').map(printable).join('\n')}\n`
  if (error instanceof StartFailure) return { exitCode: 1, line }
  if (error instanceof Interrupted) return { exitCode: error.exitCode, line }
  throw error
}

async function start(
  settings: Settings,
  log: Logger,
  output: Output,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Started> {
  const { config } = settings
  try {
    if (config.processes === 1) return await startHere(config, log, output, env, signal)
    const { startCluster } = await import('./cluster.js')
    return await startCluster(config, log, signal)
  } catch (error) {
    const failure = listenFailureOf(error)
    throw failure === undefined ? error : explainListenFailure(failure, settings)
  }
}

/** Starts the server in this process; `signal` breaks it off. */
export async function startHere(
  config: Config,
  log: Logger,
  output: Output,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Started> {
  const [{ startServer }, { chooseSpawner }] = await Promise.all([
    import('../server/listener.js'),
    import('../process/choose.js'),
  ])
  const { spawner, reason } = await chooseSpawner(env).catch((error: unknown) => {
    const problem = error instanceof Error ? error.message : String(error)
    throw new ConfigError({ builtIn: true }, problem, 'correct the environment variable')
  })
  const access = (line: string): void => output.write(`${line}\n`)
  const server = await startServer(config, { spawner, log, access, environment: env, signal })
  return {
    addresses: server.addresses,
    spawner: { name: spawner.name, reason },
    pids: [process.pid],
    close: () => server.close(),
    kill: () => server.kill(),
    reload: () => server.reload(),
  }
}
