/**
 * The command `postern` as a real process, run from its sources: what it prints, how it ends.
 *
 * In teardown it is killed if it still runs, with its server processes and workers.
 */
import { spawn } from 'node:child_process'
import { get as httpGet } from 'node:http'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { descendants, isAlive, untilEnded } from '../support/processes.js'
import { waitFor, within } from '../support/wait-for.js'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const tsx = import.meta.resolve('tsx')

/** How it ended and all it printed. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Command {
  readonly pid: number
  /** What was printed so far. */
  stdout(): string
  stderr(): string
  /** Waits until the pattern is in stdout; gives its first group, or all of it. */
  printed(pattern: RegExp): Promise<string>
  /** The same for stderr. */
  logged(pattern: RegExp): Promise<string>
  /** The URL of the first line, without its last slash. */
  origin(): Promise<string>
  signal(signal: NodeJS.Signals): void
  /** Nobody reads its stdout any more. */
  closeStdout(): void
  readonly ended: Promise<Ended>
}

/** Starts `postern` with these words in this folder. */
export function postern(
  t: Test,
  cwd: string,
  words: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Command {
  const child = spawn(process.execPath, [`--import=${tsx}`, main, ...words], {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const { pid } = child
  if (pid === undefined) throw new Error('postern did not start')
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  const ended = new Promise<Ended>(resolve => {
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })

  t.teardown(async () => {
    const below = descendants(pid)
    child.kill('SIGKILL')
    await within('postern has ended', ended)
    // Nobody else would end the workers of a server that was killed.
    for (const each of below.filter(isAlive)) process.kill(each, 'SIGKILL')
    for (const each of below) await untilEnded(each)
  })

  const found = (what: string, text: () => string, pattern: RegExp): Promise<string> =>
    waitFor(`${what} has ${pattern}: ${text()}`, () => {
      const match = pattern.exec(text())
      return match === null ? undefined : (match[1] ?? match[0])
    }).catch(error => {
      throw new Error(`${error.message}\nstdout: ${stdout}\nstderr: ${stderr}`)
    })
  const command: Command = {
    pid,
    stdout: () => stdout,
    stderr: () => stderr,
    printed: pattern => found('stdout', () => stdout, pattern),
    logged: pattern => found('stderr', () => stderr, pattern),
    origin: () => command.printed(/on (http:\/\/\S+)\/\s/),
    signal: signal => void child.kill(signal),
    closeStdout: () => void child.stdout.destroy(),
    ended,
  }
  return command
}

/** Runs `postern` to its end, with a deadline. */
export function runPostern(
  t: Test,
  cwd: string,
  words: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  return within(`postern ${words.join(' ')} has ended`, postern(t, cwd, words, env).ended)
}

/** Status and body of one request on a connection of its own. */
export function get(
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const request = httpGet(url, { agent: false, headers }, response => {
      let body = ''
      response.setEncoding('utf8').on('data', text => {
        body += text
      })
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }))
      response.once('error', reject)
    })
    request.once('error', reject)
  })
}

/** A script that says that it runs, and answers once the note `go` is there. */
export function waitingScript(notes: string): string {
  return `#!/bin/sh
echo "$$" > ${notes}/started
while [ ! -f ${notes}/go ]; do sleep 0.02; done
printf 'Content-Type: text/plain\\n\\ndone'
`
}
