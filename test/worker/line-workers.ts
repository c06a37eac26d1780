/**
 * A supervisor of `worker-line.mjs` for tests: its log, its upstreams, and how to talk to its workers.
 *
 * In teardown it is killed, and its processes are waited for.
 */
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { LogFields, Logger } from '../../src/log.js'
import type { Address } from '../../src/upstream/address.js'
import { type Upstream, Upstreams } from '../../src/upstream/upstreams.js'
import { defaultWorkers, type WorkersConfig } from '../../src/worker/options.js'
import { Supervisor, type SupervisorOptions } from '../../src/worker/supervisor.js'
import { untilGone } from '../support/processes.js'
import { spawnerNamed } from '../support/spawners.js'
import { waitFor } from '../support/wait-for.js'

/** A line of the log. */
export interface LogLine {
  readonly level: keyof Logger
  readonly message: string
  readonly fields: LogFields
}

export interface LineWorkers {
  readonly supervisor: Supervisor
  readonly upstreams: Upstreams
  readonly lines: readonly LogLine[]
  /** Waits for a line of the log whose message matches. */
  logged(message: RegExp): Promise<LogLine>
  /** Pids of those that are ready. */
  pids(): number[]
  /** Waits until so many are ready and nothing else runs. */
  settled(ready: number): Promise<number[]>
  /** The ready one with that pid. */
  upstreamOf(pid: number): Upstream
}

export const workerProgram = fileURLToPath(
  new URL('../fixtures/programs/worker-line.mjs', import.meta.url),
)

/** What may be different from test to test. */
export interface LineWorkersOptions extends Partial<WorkersConfig> {
  /** Arguments of worker-line.mjs. */
  readonly words?: readonly string[]
  readonly capacity?: number
  readonly listen?: SupervisorOptions['listen']
}

/** A supervisor that is not started yet. */
export async function lineWorkers(t: Test, options: LineWorkersOptions = {}): Promise<LineWorkers> {
  const { words = ['plain'], capacity = 1, listen = { kind: 'own' }, ...config } = options
  const lines: LogLine[] = []
  const at =
    (level: keyof Logger) =>
    (fields: LogFields, message: string): void =>
      void lines.push({ level, fields, message })
  const upstreams = new Upstreams({
    queue: { length: 100, waitMs: 10_000 },
    supplied: true,
    onWaiting: waiting => supervisor.wanted(waiting),
  })
  const supervisor: Supervisor = new Supervisor({
    config: {
      ...defaultWorkers,
      count: { ...defaultWorkers.count, min: 2, max: 2 },
      graceMs: 1_000,
      command: [process.execPath, workerProgram, ...words],
      directory: '/',
      env: ['PATH=/usr/bin:/bin'],
      ...config,
    },
    listen,
    capacity,
    upstreams: listen.kind === 'own' ? upstreams : undefined,
    spawner: await spawnerNamed('default'),
    log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
    ready:
      listen.kind === 'own'
        ? (address, signal) => say(address, 'hello', signal).then(() => {})
        : undefined,
  })
  t.teardown(async () => {
    const pids = supervisor.workers.map(({ pid }) => pid)
    supervisor.kill()
    await supervisor.close()
    upstreams.close()
    for (const pid of pids) if (pid !== undefined) await untilGone(pid)
  })
  const ready = () => supervisor.workers.filter(({ state }) => state === 'ready')
  const pids = (): number[] => ready().map(({ pid }) => pid ?? 0)
  return {
    supervisor,
    upstreams,
    lines,
    logged: message =>
      waitFor(`the log has ${message}`, () => lines.find(line => message.test(line.message))).catch(
        error => {
          throw new Error(`${error.message}\n${lines.map(line => JSON.stringify(line)).join('\n')}`)
        },
      ),
    pids,
    settled: count =>
      waitFor(`${count} workers are ready`, () => {
        const { length } = supervisor.workers
        return length === count && ready().length === count ? pids() : undefined
      }),
    upstreamOf: pid => {
      const name = supervisor.workers.find(worker => worker.pid === pid)?.name
      const found = upstreams.members.find(each => each.name === name)
      if (found === undefined) throw new Error(`no upstream has pid ${pid}`)
      return found
    },
  }
}

/** Sends a line to a worker; gives its answer, or rejects when the connection ends without one. */
export function say(address: Address, line: string, signal?: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = address.kind === 'unix' ? connect(address.path) : connect(address)
    const end = (error: Error): void => {
      socket.destroy()
      reject(error)
    }
    signal?.addEventListener('abort', () => end(new Error('nobody asks any more')))
    let answer = ''
    socket.setEncoding('utf8').on('data', text => {
      answer += text
      if (!answer.endsWith('\n')) return
      socket.destroy()
      resolve(answer.trim())
    })
    socket.on('error', end)
    socket.on('close', () => end(new Error(`no answer to ${line}`)))
    socket.write(`${line}\n`)
  })
}
