/**
 * The workers of a supervisor that are not gone, in the order of their start, and how one more is made.
 *
 * Keeps the list and answers questions about it; what is to be done about the answers is the supervisor's.
 */
import type { Outcome } from '../upstream/upstreams.js'
import { requestLimit } from './recycling.js'
import type { WorkerSockets } from './sockets.js'
import type { SupervisorOptions, WorkerReport } from './supervisor-options.js'
import { Worker } from './worker.js'

/** What a worker tells its supervisor. */
export interface RosterEvents {
  readonly onChange: () => void
  readonly onReleased: (worker: Worker, outcome: Outcome, request: string) => void
}

export class Roster {
  readonly #options: SupervisorOptions
  readonly #events: RosterEvents
  readonly #now: () => number
  #workers: Worker[] = []
  #started = 0
  #generation = 0

  constructor(options: SupervisorOptions, now: () => number, events: RosterEvents) {
    this.#options = options
    this.#now = now
    this.#events = events
  }

  /** Workers that were started before the last reload belong to an earlier one. */
  get generation(): number {
    return this.#generation
  }

  get all(): readonly Worker[] {
    return this.#workers
  }

  /** How many have been started so far. */
  get started(): number {
    return this.#started
  }

  /** Those that take requests or are about to. */
  get serving(): Worker[] {
    return this.#workers.filter(({ state }) => state === 'starting' || state === 'ready')
  }

  get ready(): Worker[] {
    return this.#workers.filter(({ state }) => state === 'ready')
  }

  get isStarting(): boolean {
    return this.#workers.some(({ state }) => state === 'starting')
  }

  /** No more may be started. */
  get isFull(): boolean {
    const { max } = this.#options.config.count
    return this.#workers.length >= max && this.serving.length >= max
  }

  get draining(): number {
    return this.#workers.length - this.serving.length
  }

  /** Those that are to be replaced. */
  get outdated(): Worker[] {
    return this.serving.filter(
      ({ outdated, generation }) => outdated !== undefined || generation < this.#generation,
    )
  }

  /** Takes those that are gone off the list, and gives them. */
  takeGone(): Worker[] {
    const gone = this.#workers.filter(({ state }) => state === 'gone')
    if (gone.length > 0) this.#workers = this.#workers.filter(({ state }) => state !== 'gone')
    return gone
  }

  /** From now on, those that run already are outdated; one whose program is yet to be executed is not. */
  newGeneration(): void {
    this.#generation++
    for (const worker of this.#workers) {
      if (worker.state === 'starting' && worker.pid === undefined)
        worker.generation = this.#generation
    }
  }

  /** Makes those of earlier generations count as up to date. */
  forgive(): void {
    for (const worker of this.#workers) worker.generation = this.#generation
  }

  start(sockets: WorkerSockets): void {
    const { config, capacity, upstreams, spawner, log, ready } = this.#options
    const worker = new Worker({
      number: ++this.#started,
      config,
      capacity,
      sockets,
      upstreams,
      spawner,
      log,
      ready,
      now: this.#now,
      requestLimit: requestLimit(config.recycling, Math.random()),
      ...this.#events,
    })
    worker.generation = this.#generation
    this.#workers.push(worker)
  }

  report(): WorkerReport[] {
    const now = this.#now()
    return this.#workers.map(worker => ({
      name: worker.name,
      pid: worker.pid,
      state: worker.state,
      address: worker.address,
      requests: worker.record.requests,
      ageMs: now - worker.record.startedAt,
    }))
  }
}
