/**
 * `processes: N`: the first process, which starts the others, replaces those that die, and ends them.
 *
 * It serves nothing itself; node:cluster accepts connections here and hands them round. Each server
 * process gets its part of the configuration (`divideConfig`) as a message. What happens in such a
 * process is `cluster-worker.ts`.
 */
import cluster, { type Worker } from 'node:cluster'
import type { Logger } from '../log.js'
import type { Config } from '../server/config.js'
import { divideConfig } from '../server/divide.js'
import { StartFailure } from '../server/start-failure.js'
import { removeStaleSocket } from '../server/unix-socket.js'
import type { ListenFailure } from './listen-failure.js'
import type { Started } from './started.js'

/** From the first process to the others. */
export type Order =
  | { readonly kind: 'serve'; readonly config: Config }
  | { readonly kind: 'reload' }
  | { readonly kind: 'drain' }
  | { readonly kind: 'kill' }

/** From the others to the first process. */
export type Report =
  /** Orders can be taken. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'listening'; readonly listening: Pick<Started, 'addresses' | 'spawner'> }
  | { readonly kind: 'reloaded'; readonly problem: string | undefined }
  | {
      readonly kind: 'failed'
      readonly message: string
      readonly listen: ListenFailure | undefined
      /** Workers of a route did not start: not a bug. */
      readonly workers: boolean
    }

/** A process that dies sooner than this after its start is in a loop. */
const quickDeathMs = 1000

const firstDelayMs = 100
const longestDelayMs = 5000

/** How long processes have to end their programs when they are told to at once. */
const killDeadlineMs = 1000

/** What a drain may take beyond the times in the configuration. */
const drainSlackMs = 5000

/** How long to wait before replacing a process that lived `livedMs`, after `quickDeaths` quick ones before it. */
export function restartDelay(livedMs: number, quickDeaths: number): number {
  if (livedMs >= quickDeathMs) return 0
  return Math.min(firstDelayMs * 2 ** quickDeaths, longestDelayMs)
}

/**
 * Starts the processes; settles when all of them listen.
 * @throws the failure of the first process that cannot start, or the reason of the signal; the others are
 * gone then
 */
export async function startCluster(
  config: Config,
  log: Logger,
  signal: AbortSignal,
): Promise<Started> {
  // `advanced` keeps what JSON drops: a setting that is there and undefined.
  cluster.setupPrimary({ args: [], serialization: 'advanced' })
  // Here, since two processes that do it at once would remove each other's.
  for (const address of config.listen) {
    if (address.kind === 'unix') await removeStaleSocket(address.path)
  }
  const members = new Members(config, log)
  try {
    const { addresses, spawner } = await members.start(signal)
    return {
      addresses,
      spawner,
      pids: members.pids,
      close: () => members.close(),
      kill: () => members.kill(),
      reload: () => members.reload(),
    }
  } catch (error) {
    await members.kill()
    throw error
  }
}

type Listening = Pick<Started, 'addresses' | 'spawner'>

/** One process as seen from here. */
interface Member {
  readonly index: number
  readonly worker: Worker
  readonly startedAt: number
  /** Quick deaths in a row before this one. */
  readonly quickDeaths: number
  listening: boolean
  /** Called when its reload is over, or it is. */
  onReloaded: ((problem: string | undefined) => void) | undefined
}

/** The processes, by their part of the configuration. */
class Members {
  readonly #config: Config
  readonly #log: Logger
  readonly #members = new Map<number, Member>()
  readonly #restarts = new Set<NodeJS.Timeout>()
  #ending: 'drain' | 'kill' | undefined
  /** Until every process listens. */
  #starting: { resolve(listening: Listening): void; reject(error: Error): void } | undefined
  #onEmpty: (() => void)[] = []

  constructor(config: Config, log: Logger) {
    this.#config = config
    this.#log = log
  }

  get pids(): number[] {
    return [...this.#members.values()].map(({ worker }) => worker.process.pid ?? 0)
  }

  start(signal: AbortSignal): Promise<Listening> {
    return new Promise((resolve, reject) => {
      this.#starting = { resolve, reject }
      signal.throwIfAborted()
      signal.addEventListener('abort', () => this.#starting?.reject(signal.reason), { once: true })
      for (let index = 0; index < this.#config.processes; index++) this.#fork(index, 0)
    })
  }

  /** One process after another: workers are replaced one by one, however many processes there are. */
  async reload(): Promise<void> {
    const problems: string[] = []
    for (const member of [...this.#members.values()]) {
      const problem = await new Promise<string | undefined>(resolve => {
        if (!member.listening || !member.worker.isConnected()) return resolve(undefined)
        member.onReloaded = resolve
        order(member, { kind: 'reload' })
      })
      if (problem !== undefined) problems.push(problem)
    }
    if (problems.length > 0) throw new Error(problems.join('; '))
  }

  async close(): Promise<void> {
    const graces = this.#config.routes.map(route => route.timeouts.graceMs)
    // The last requests, what they leave behind at workers, and from TERM to KILL: a grace each.
    const ending = 3 * Math.max(0, ...graces)
    const deadline = this.#config.timeouts.drainMs + ending + drainSlackMs
    this.#end('drain')
    if (!(await this.#emptyWithin(deadline))) await this.kill()
  }

  async kill(): Promise<void> {
    this.#end('kill')
    if (await this.#emptyWithin(killDeadlineMs)) return
    for (const { worker } of this.#members.values()) worker.process.kill('SIGKILL')
    await this.#emptyWithin(killDeadlineMs)
  }

  #end(how: 'drain' | 'kill'): void {
    this.#ending = how
    for (const timer of this.#restarts) clearTimeout(timer)
    this.#restarts.clear()
    for (const member of this.#members.values()) order(member, { kind: how })
  }

  #fork(index: number, quickDeaths: number): void {
    const worker = cluster.fork()
    const member: Member = {
      index,
      worker,
      startedAt: performance.now(),
      quickDeaths,
      listening: false,
      onReloaded: undefined,
    }
    this.#members.set(index, member)
    worker.on('message', (report: Report) => this.#heard(member, report))
    worker.on('error', error => this.#log.warn({ error }, 'a server process cannot be reached'))
    worker.once('exit', (code, signal) => this.#lost(member, code, signal))
  }

  #heard(member: Member, report: Report): void {
    switch (report.kind) {
      case 'ready':
        order(member, this.#firstOrder(member.index))
        return
      case 'listening':
        member.listening = true
        this.#nowListening(member, report.listening)
        return
      case 'reloaded':
        member.onReloaded?.(report.problem)
        return
      case 'failed': {
        const error = errorOf(report)
        if (this.#starting !== undefined) this.#starting.reject(error)
        else this.#log.error({ error }, 'a server process cannot start')
        return
      }
      default:
        report satisfies never
    }
  }

  #firstOrder(index: number): Order {
    if (this.#ending !== undefined) return { kind: this.#ending }
    return { kind: 'serve', config: divideConfig(this.#config, this.#config.processes, index) }
  }

  #nowListening({ worker }: Member, listening: Listening): void {
    if (this.#starting === undefined) {
      this.#log.info({ pid: worker.process.pid }, 'a new server process listens')
      return
    }
    const members = [...this.#members.values()]
    if (!members.every(member => member.listening)) return
    this.#starting.resolve(listening)
    this.#starting = undefined
  }

  #lost(member: Member, code: number | null, signal: string | null): void {
    this.#members.delete(member.index)
    member.onReloaded?.(undefined)
    if (this.#members.size === 0) for (const settle of this.#onEmpty.splice(0)) settle()
    if (this.#ending !== undefined) return
    const facts = { pid: member.worker.process.pid, code, signal }
    if (this.#starting !== undefined) {
      this.#starting.reject(new Error(`a server process ended at its start: ${describe(facts)}`))
      return
    }
    const delayMs = restartDelay(performance.now() - member.startedAt, member.quickDeaths)
    this.#log.error({ ...facts, delayMs }, 'a server process ended; another takes its place')
    const timer = setTimeout(() => {
      this.#restarts.delete(timer)
      this.#fork(member.index, delayMs === 0 ? 0 : member.quickDeaths + 1)
    }, delayMs)
    this.#restarts.add(timer)
  }

  /** Whether the last process was gone in time. */
  #emptyWithin(ms: number): Promise<boolean> {
    if (this.#members.size === 0) return Promise.resolve(true)
    return new Promise(resolve => {
      const timer = setTimeout(() => resolve(false), ms)
      this.#onEmpty.push(() => {
        clearTimeout(timer)
        resolve(true)
      })
    })
  }
}

function order({ worker }: Member, message: Order): void {
  if (worker.isConnected()) worker.send(message)
}

function describe({ code, signal }: { code: number | null; signal: string | null }): string {
  return signal === null ? `exit code ${code}` : `signal ${signal}`
}

/** The failure as `startServer` would have thrown it in this process. */
function errorOf({ message, listen, workers }: Extract<Report, { kind: 'failed' }>): Error {
  if (workers) return new StartFailure(message)
  const error = new Error(message)
  return listen === undefined ? error : Object.assign(error, { syscall: 'listen', ...listen })
}
