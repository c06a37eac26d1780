/**
 * A server under test: `postern serve` with a configuration of one route, started as a user would start it, with its
 * access lines in a file.
 *
 * It listens on 127.0.0.1 at a port that the system picks. `stop` ends it and what it has started.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { BenchFailure, type Child, startChild } from './child.js'
import type { OutputFile, Site } from './site.js'
import type { BenchRoute } from './subject.js'

/** How the server is started and where it finds itself. */
export interface ServerCommand {
  /** Program and arguments; the configuration is added. */
  readonly command: readonly string[]
  readonly env: NodeJS.ProcessEnv
}

export interface ServerProcess {
  readonly pid: number
  readonly host: string
  readonly port: number
  /** Empties the access log. */
  readonly forgetOutput: () => void
  /** @throws BenchFailure with what it said last, when it has ended */
  readonly requireAlive: () => void
  /** What it said on stderr, the last lines of it. */
  readonly complaints: () => string
  readonly stop: () => Promise<void>
}

/** Workers may take this long to be ready, and some more. */
const startMs = 30_000

const pollMs = 5

const firstLine = /^Postern \S+ on http:\/\/([\d.]+):(\d+)\/\n/

/** Lines of stderr that a message shows. */
const linesShown = 12

/**
 * Starts a server; settles when it listens.
 * @throws BenchFailure when it does not start; the signal's reason when that comes first
 */
export async function startServerProcess(
  site: Site,
  name: string,
  route: BenchRoute,
  { command, env }: ServerCommand,
  signal: AbortSignal,
): Promise<ServerProcess> {
  const config = { log: { access: 'combined', level: 'info' }, routes: [route] }
  const file = site.write(`${name}.json`, JSON.stringify(config, undefined, 2))
  const stdout = site.output(`${name}.out`)
  const stderr = site.output(`${name}.err`)
  const words = [...command, 'serve', '-c', file, '-p', '0']
  const child = await startChild(words, {
    // Its pid file goes with the site, and `postern reload` does not take it for a server of the user's.
    env: { ...env, XDG_RUNTIME_DIR: site.directory },
    cwd: site.directory,
    stdio: ['ignore', stdout.fd, stderr.fd],
  }).finally(() => {
    stdout.close()
    stderr.close()
  })
  try {
    const { host, port } = await untilListening(child, stdout, stderr, signal)
    return {
      pid: child.pid,
      host,
      port,
      forgetOutput: () => stdout.forget(),
      requireAlive: () => requireAlive(child, stderr),
      complaints: () => lastLines(stderr),
      stop: child.stop,
    }
  } catch (error) {
    await child.stop()
    throw error
  }
}

async function untilListening(
  child: Child,
  stdout: OutputFile,
  stderr: OutputFile,
  signal: AbortSignal,
): Promise<{ host: string; port: number }> {
  const deadline = performance.now() + startMs
  for (;;) {
    signal.throwIfAborted()
    const line = firstLine.exec(stdout.text())
    if (line?.[1] !== undefined) return { host: line[1], port: Number(line[2]) }
    requireAlive(child, stderr)
    if (performance.now() > deadline) {
      throw new BenchFailure(`the server does not listen after ${startMs / 1000} s`)
    }
    await pause(pollMs)
  }
}

function requireAlive(child: Child, stderr: OutputFile): void {
  const end = child.ended()
  if (end === undefined) return
  throw new BenchFailure(`the server has ended (${end}): ${lastLines(stderr)}`)
}

function lastLines(output: OutputFile): string {
  return output.text().trimEnd().split('\n').slice(-linesShown).join('\n')
}
