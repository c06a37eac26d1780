/**
 * One worker seen from here: its socket, its process, its place among the upstreams, and its state.
 *
 * Not the work that the process does, and not the decision when to start or replace one: that is the
 * supervisor's. States go forward only: starting, ready, draining, gone.
 */
import { basename } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fromText } from '../byte-string.js'
import type { ProgramExit } from '../gateway.js'
import type { Logger } from '../log.js'
import type { Spawner } from '../process/spawner.js'
import type { Address } from '../upstream/address.js'
import type { Outcome, Upstream, UpstreamOptions } from '../upstream/upstreams.js'
import type { WorkersConfig } from './options.js'
import { type ReadyProbe, untilReady } from './readiness.js'
import type { WorkerSocket, WorkerSockets } from './sockets.js'
import { WorkerProcess } from './worker-process.js'
import { WorkerRecord } from './worker-record.js'

export type WorkerState = 'starting' | 'ready' | 'draining' | 'gone'

const nextStates: Readonly<Record<WorkerState, readonly WorkerState[]>> = {
  starting: ['ready', 'draining', 'gone'],
  ready: ['draining', 'gone'],
  draining: ['gone'],
  gone: [],
}

/** The part of `Upstreams` that is needed here. */
export interface UpstreamSet {
  /** Requests at programs, those included that were removed. */
  readonly active: number
  /** Requests in line. */
  readonly waiting: number
  add(options: UpstreamOptions): Upstream
  /** Settles when the upstream's requests are over. */
  remove(upstream: Upstream): Promise<void>
}

export interface WorkerOptions {
  readonly number: number
  readonly config: WorkersConfig
  readonly capacity: number
  readonly sockets: WorkerSockets
  readonly upstreams: UpstreamSet | undefined
  readonly spawner: Spawner
  readonly log: Logger
  readonly ready: ReadyProbe | undefined
  readonly now: () => number
  /** Requests after which it is to be replaced. */
  readonly requestLimit: number
  /** Its state has changed. */
  readonly onChange: () => void
  /** A request that it had is over. */
  readonly onReleased: (worker: Worker, outcome: Outcome, request: string) => void
}

/** How often a worker on a shared socket that was told to end is looked at until it has nothing to do. */
const idleLookMs = 20

export class Worker {
  readonly name: string
  readonly record: WorkerRecord
  /** Settles when the process, its socket and its last line of output are done with. */
  readonly gone: Promise<void>
  /** Which reload it belongs to; the supervisor's. */
  generation = 0
  /** Why it is to be replaced as soon as another is ready; the supervisor's. */
  outdated: string | undefined
  readonly #options: WorkerOptions
  readonly #probing = new AbortController()
  #state: WorkerState = 'starting'
  #process: WorkerProcess | undefined
  #socket: WorkerSocket | undefined
  #upstream: Upstream | undefined
  #failure: Error | undefined
  #fault: string | undefined
  #wasReady = false
  #asked = false
  /** What the process gets as soon as there is one. */
  #ending: 'not yet' | 'terminate' | 'kill' = 'not yet'

  constructor(options: WorkerOptions) {
    const { config, number, requestLimit, now } = options
    this.#options = options
    this.name = `${basename(config.command[0] ?? '')}-${number}`
    this.record = new WorkerRecord(config.recycling, requestLimit, now())
    this.gone = this.#run()
  }

  get state(): WorkerState {
    return this.#state
  }

  /** Undefined until the process runs. */
  get pid(): number | undefined {
    return this.#process?.pid
  }

  get address(): Address | undefined {
    return this.#socket?.address
  }

  /** Requests that it has now. */
  get active(): number {
    return this.#upstream?.active ?? 0
  }

  /** It is known to have nothing to do. */
  get isIdle(): boolean {
    return this.#upstream === undefined ? this.record.accepting : this.#upstream.active === 0
  }

  /** It has been ready, now or before. */
  get wasReady(): boolean {
    return this.#wasReady
  }

  /** We told it to end. */
  get asked(): boolean {
    return this.#asked
  }

  /** How the process ended. */
  get exit(): ProgramExit | undefined {
    return this.#process?.exit
  }

  /** Why there was no process. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** What is held against it, though it had not ended by itself. */
  get fault(): string | undefined {
    return this.#fault
  }

  /** The last of what it wrote on stderr. */
  get stderr(): string {
    return this.#process?.stderr ?? ''
  }

  /** Looks what the process does. */
  look(): void {
    if (this.pid !== undefined) this.record.look(this.pid)
  }

  /** Sets `outdated` when it is due to be replaced for its age, its requests or its memory. */
  findWear(now: number): void {
    if (this.#options.upstreams === undefined) this.look()
    if (this.pid !== undefined) this.outdated ??= this.record.reasonToReplace(this.pid, now)
  }

  /** Takes no more requests, gets `limitMs` for those it has, then TERM and KILL after the grace. */
  retire(limitMs: number | undefined): void {
    if (this.#state !== 'starting' && this.#state !== 'ready') return
    this.#become('draining')
    void this.#leave(limitMs).then(() => this.#terminate('terminate'))
  }

  /** The same at once, for a fault. */
  fail(fault: string): void {
    if (this.#state !== 'starting' && this.#state !== 'ready') return
    this.#fault = fault
    this.retire(0)
  }

  /** The same after the program was asked to say where it is stuck. */
  async stuck(request: string): Promise<void> {
    if (this.#state !== 'ready') return
    const { stuckSignal, stuckDumpMs } = this.#options.config
    this.#become('draining')
    void this.#leave(0)
    if (stuckSignal !== undefined) await this.#process?.ask(stuckSignal, request, stuckDumpMs)
    this.#terminate('terminate')
  }

  /** KILL now. */
  kill(): void {
    if (this.#state === 'gone') return
    if (this.#state !== 'draining') this.#become('draining')
    void this.#leave(0)
    this.#terminate('kill')
  }

  async #run(): Promise<void> {
    try {
      const running = await this.#start()
      void running.exited.then(() => {
        this.#probing.abort()
        void this.#leave(0)
      })
      if (this.#ending !== 'not yet') running[this.#ending]()
      else void this.#becomeReady(running)
      await running.gone
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error))
    }
    this.#socket?.close()
    this.#become('gone')
  }

  async #start(): Promise<WorkerProcess> {
    const { sockets, spawner, config, log } = this.#options
    const socket = await sockets.open()
    this.#socket = socket
    const [file = '', ...words] = config.command.map(fromText)
    const child = await spawner.spawn({
      file,
      argv: [file, ...words],
      env: config.env,
      cwd: fromText(config.directory),
      stdin: socket.fd,
    })
    socket.handedOver()
    this.#process = new WorkerProcess(child, this.name, log, config.graceMs)
    return this.#process
  }

  async #becomeReady(running: WorkerProcess): Promise<void> {
    const address = this.#socket?.address
    if (address === undefined) return
    await untilReady(this.#options.ready, address, running.pid, this.#probing.signal)
    if (this.#state !== 'starting' || running.exit !== undefined) return
    this.#wasReady = true
    this.look()
    this.#become('ready')
  }

  #join(): void {
    const { upstreams, capacity, onReleased } = this.#options
    const address = this.#socket?.address
    if (address === undefined) return
    this.#upstream = upstreams?.add({
      address,
      capacity,
      name: this.name,
      onReleased: (outcome, request) => onReleased(this, outcome, request),
    })
  }

  /** Takes no more requests; settles when those that it has are over, or `limitMs` have passed. */
  async #leave(limitMs: number | undefined): Promise<void> {
    const { upstreams, config } = this.#options
    const upstream = this.#upstream
    this.#upstream = undefined
    if (upstream === undefined) return limitMs === 0 ? undefined : this.#untilIdle(config.graceMs)
    const over = [upstreams?.remove(upstream), this.#process?.exited]
    if (limitMs === 0) return
    if (limitMs !== undefined) over.push(pause(limitMs, undefined, { ref: false }))
    await Promise.race(over)
  }

  /** A worker whose requests we do not see, but which was seen idle before. */
  async #untilIdle(limitMs: number): Promise<void> {
    const { now } = this.#options
    const deadline = now() + limitMs
    const isBusy = (): boolean => {
      this.look()
      return this.record.seenAccepting && !this.record.accepting
    }
    while (this.exit === undefined && isBusy() && now() < deadline) await pause(idleLookMs)
  }

  #terminate(how: 'terminate' | 'kill'): void {
    if (this.#ending !== 'kill') this.#ending = how
    this.#process?.[how]()
  }

  #become(next: WorkerState): void {
    if (!nextStates[this.#state].includes(next)) {
      throw new Error(`a worker went from ${this.#state} to ${next}`)
    }
    this.#state = next
    if (next === 'draining') this.#asked = true
    if (next === 'ready') this.#join()
    else this.#probing.abort()
    const { log, now, onChange } = this.#options
    const ageMs = Math.round(now() - this.record.startedAt)
    log.debug({ worker: this.name, pid: this.pid, ageMs }, `a worker is ${next}`)
    onChange()
  }
}
