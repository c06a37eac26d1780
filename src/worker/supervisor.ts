/**
 * Keeps a group of workers at the number that is wanted, whatever happens to them.
 *
 * Everything that happens (an exit, a timer, the end of a request, a call) leads to one `#tend` in fixed
 * order: reap, time out, cull, spawn; then whoever waits for a start or a reload is told. How many is
 * `sizing.ts`, when again `restart-policy.ts`, what one worker does `worker.ts`. Knows no protocol.
 * What grows: workers, up to `max` and one, and up to `max` more that still have requests to end.
 */
import type { Address } from '../upstream/address.js'
import type { Outcome } from '../upstream/upstreams.js'
import { Need } from './need.js'
import { Pending } from './pending.js'
import { afterEnd, noHistory, type RestartHistory } from './restart-policy.js'
import { Roster } from './roster.js'
import { openWorkerSockets, type WorkerSockets } from './sockets.js'
import type { SupervisorOptions, WorkerReport } from './supervisor-options.js'
import { type FileWatch, watchFiles } from './watch.js'
import type { Worker } from './worker.js'
import { describeEnd, failureOf, type WorkersFailed, withoutSocket } from './workers-failed.js'

export type { SupervisorOptions, WorkerReport } from './supervisor-options.js'
export { WorkersFailed } from './workers-failed.js'

/** Memory and the like are looked at this often when nothing else happens. */
const slowTickMs = 5_000

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #now: () => number
  readonly #roster: Roster
  readonly #need: Need
  #sockets: WorkerSockets | undefined
  #history: RestartHistory = noHistory
  #closing = false
  #tending = false
  #tendAgain = false
  #timer: NodeJS.Timeout | undefined
  #watch: FileWatch | undefined
  /** The first generation, until it has proved itself. */
  #starting: Pending | undefined
  #reloading: Pending | undefined
  #lastFailure: WorkersFailed | undefined
  #closed: Promise<void> | undefined

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#roster = new Roster(options, this.#now, {
      onChange: () => this.#tend(),
      onReleased: (worker, outcome, request) => this.#released(worker, outcome, request),
    })
    this.#need = new Need(options, this.#roster)
  }

  get workers(): readonly WorkerReport[] {
    return this.#roster.report()
  }

  /** Where all workers listen, with the real port; undefined before the start and with sockets of their own. */
  get address(): Address | undefined {
    return this.#sockets?.address
  }

  /**
   * Starts `count.min` workers; settles when each of them is ready or has failed, and one is ready.
   * @throws WorkersFailed when none became ready, or the socket cannot be had (then with `cause`)
   */
  async start(): Promise<void> {
    const { config, spawner, listen, log } = this.#options
    try {
      if (spawner.name === 'node') throw new Error('processes are started by child_process')
      this.#sockets = await openWorkerSockets(listen)
    } catch (error) {
      throw withoutSocket(config.command, error)
    }
    if (this.#closing) return this.#sockets.close()
    const starting = new Pending()
    if (config.count.min === 0) starting.resolve()
    else this.#starting = starting
    this.#tend()
    try {
      await starting.promise
    } catch (error) {
      await this.close()
      throw error
    }
    if (config.watch.length === 0 || this.#closing) return
    this.#watch = watchFiles(config.watch, log, () => void this.reload().catch(() => {}))
  }

  /** Requests wait in line: more workers might help. Cheap where there are as many as there may be. */
  wanted(waiting: number): void {
    if (this.#need.dynamic && !this.#closing && !this.#roster.isFull) this.#tend(waiting)
  }

  /**
   * Replaces all workers one by one, each when another is ready. A call during a reload joins it, and
   * workers that were started before the call are replaced too.
   * @throws WorkersFailed when a new one does not become ready: the old ones stay
   */
  reload(): Promise<void> {
    if (this.#closing) return Promise.resolve()
    this.#roster.newGeneration()
    // What has changed may be what made them crash.
    this.#history = noHistory
    this.#reloading ??= new Pending()
    const { promise } = this.#reloading
    this.#tend()
    return promise
  }

  /** Ends all: those with requests get the grace for them, then TERM, the grace again, KILL. */
  close(): Promise<void> {
    this.#closed ??= this.#end(worker => worker.retire(this.#options.config.graceMs))
    return this.#closed
  }

  /** KILL to all at once; sockets are removed before this returns. */
  kill(): void {
    void this.#end(worker => worker.kill())
    this.#sockets?.close()
  }

  async #end(end: (worker: Worker) => void): Promise<void> {
    this.#closing = true
    clearTimeout(this.#timer)
    this.#watch?.close()
    const workers = [...this.#roster.all]
    for (const worker of workers) end(worker)
    await Promise.all(workers.map(worker => worker.gone))
    this.#sockets?.close()
    const ended = new Error('the workers were ended')
    this.#starting?.reject(ended)
    this.#reloading?.reject(ended)
  }

  #tend(waiting = 0): void {
    this.#tendAgain = true
    if (this.#tending) return
    this.#tending = true
    try {
      while (this.#tendAgain) {
        this.#tendAgain = false
        this.#tendOnce(this.#now(), waiting)
      }
    } finally {
      this.#tending = false
    }
  }

  #tendOnce(now: number, waiting: number): void {
    this.#reap(now)
    if (this.#closing || this.#sockets === undefined) return
    this.#timeOut(now)
    const wanted = this.#need.wanted(now, waiting, this.#sockets)
    this.#cull(now, wanted)
    this.#spawn(now, wanted, this.#sockets)
    this.#tell()
    this.#schedule(now)
  }

  #reap(now: number): void {
    const { log, config } = this.#options
    for (const worker of this.#roster.takeGone()) {
      const { startedAt, requests, hasAnswered } = worker.record
      const facts = { worker: worker.name, pid: worker.pid, requests }
      const end = describeEnd(worker)
      if (worker.asked && worker.fault === undefined) {
        log.debug({ ...facts, end, reason: worker.outdated }, 'a worker was ended')
        continue
      }
      // G-24: exit status 0 is on purpose, but not of a program that cannot even start.
      const onPurpose = worker.wasReady && worker.exit?.code === 0 && worker.fault === undefined
      const ended = { startedAt, endedAt: now, onPurpose, answered: hasAnswered }
      this.#history = afterEnd(this.#history, ended)
      const delayMs = Math.max(0, Math.round(this.#history.notBefore - now))
      if (onPurpose) log.info({ ...facts, end }, 'a worker ended; another takes its place')
      else log.error({ ...facts, end, delayMs }, 'a worker failed')
      this.#lastFailure = failureOf(worker, config.command)
      if (!worker.wasReady && worker.generation === this.#roster.generation) this.#giveUpReload()
    }
  }

  /** The new ones do not start: those of before stay. */
  #giveUpReload(): void {
    if (this.#reloading === undefined || this.#lastFailure === undefined) return
    const { message } = this.#lastFailure
    this.#options.log.error(
      { cause: message },
      'the reload is given up; the workers of before stay',
    )
    this.#roster.forgive()
    this.#reloading.reject(this.#lastFailure)
    this.#reloading = undefined
  }

  #timeOut(now: number): void {
    const { readyMs } = this.#options.config
    for (const worker of this.#roster.all) {
      if (worker.state !== 'starting' || now - worker.record.startedAt < readyMs) continue
      worker.fail(`was not ready within ${readyMs} ms`)
    }
  }

  /** Ends what is outdated once there is another, and what nobody has needed for a while. */
  #cull(now: number, wanted: number): void {
    for (const worker of this.#roster.ready) worker.findWear(now)
    let surplus = this.#roster.ready.length - wanted
    for (const worker of this.#roster.outdated) {
      if (worker.state === 'ready' && surplus-- > 0) worker.retire(undefined)
    }
    const { ready } = this.#roster
    surplus = ready.length - this.#need.kept(now, wanted)
    for (const worker of ready) {
      if (worker.isIdle && surplus-- > 0) worker.retire(undefined)
    }
  }

  #spawn(now: number, wanted: number, sockets: WorkerSockets): void {
    // The first generation has one chance; its failure is told, not hidden by another try.
    if (this.#starting !== undefined && this.#roster.started > 0) return
    if (now < this.#history.notBefore) return
    const missing = wanted - this.#roster.serving.length
    for (let i = 0; i < missing; i++) this.#roster.start(sockets)
    const { outdated, draining, isStarting } = this.#roster
    // One by one, and a bounded number that only end what they have.
    if (isStarting || outdated.length === 0 || draining >= this.#options.config.count.max) return
    this.#roster.start(sockets)
  }

  #tell(): void {
    const { isStarting, ready, outdated, all } = this.#roster
    if (isStarting) return
    if (ready.length > 0) this.#starting?.resolve()
    else if (all.length > 0) return
    else if (this.#lastFailure !== undefined) this.#starting?.reject(this.#lastFailure)
    this.#starting = undefined
    if (outdated.length > 0 || ready.length < this.#options.config.count.min) return
    this.#reloading?.resolve()
    this.#reloading = undefined
  }

  /** The next time something is due by itself. */
  #schedule(now: number): void {
    const { recycling, readyMs } = this.#options.config
    const due = [this.#need.dueAt(now)]
    if (recycling.memoryBytes > 0 || this.#options.upstreams === undefined)
      due.push(now + slowTickMs)
    if (this.#history.notBefore > now) due.push(this.#history.notBefore)
    for (const { state, outdated, record } of this.#roster.all) {
      if (state === 'starting') due.push(record.startedAt + readyMs)
      if (state !== 'ready' || outdated !== undefined || recycling.ageMs === 0) continue
      due.push(record.startedAt + recycling.ageMs)
    }
    clearTimeout(this.#timer)
    const next = Math.min(...due)
    if (next === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(() => this.#tend(), Math.ceil(next - now))
  }

  #released(worker: Worker, outcome: Outcome, request: string): void {
    const now = this.#now()
    worker.record.count(outcome)
    this.#need.released(now)
    if (outcome === 'stuck') {
      const { name, pid } = worker
      this.#options.log.error(
        { worker: name, pid, request },
        'a worker is stuck; another takes its place',
      )
      void worker.stuck(request)
    } else if (worker.record.isUseless) {
      worker.fail('failed request after request')
    } else if (worker.record.isWorn(now)) {
      this.#tend()
    }
  }
}
