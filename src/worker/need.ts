/**
 * How many workers a group needs, from what is known of its requests: those at upstreams and in line, or,
 * on a shared socket, what the processes do.
 *
 * The arithmetic is `sizing.ts`; here are the numbers that go into it. For a fixed number of workers
 * nothing is looked at.
 */
import type { Roster } from './roster.js'
import { lookMs, SharedLoad } from './shared-load.js'
import { Demand, neededWorkers, wantedWorkers } from './sizing.js'
import type { WorkerSockets } from './sockets.js'
import type { SupervisorOptions } from './supervisor-options.js'

export class Need {
  /** The number of workers may change. */
  readonly dynamic: boolean
  readonly #options: SupervisorOptions
  readonly #roster: Roster
  readonly #demand = new Demand()
  readonly #sharedLoad = new SharedLoad()

  constructor(options: SupervisorOptions, roster: Roster) {
    this.#options = options
    this.#roster = roster
    const { min, max } = options.config.count
    this.dynamic = max > min
  }

  /** The number to start up to now, with at least `inLine` requests waiting. */
  wanted(now: number, inLine: number, sockets: WorkerSockets): number {
    const { config, capacity, upstreams } = this.#options
    if (!this.dynamic) return config.count.min
    const { serving } = this.#roster
    const active = serving.reduce((sum, worker) => sum + worker.active, 0)
    const needed =
      upstreams === undefined
        ? this.#sharedLoad.needed(serving, () => sockets.waiting(), now)
        : neededWorkers(active + Math.max(inLine, upstreams.waiting), capacity)
    this.#demand.note(needed, now)
    return wantedWorkers(config.count, needed)
  }

  /** The number to shrink to, no less than `wanted`. */
  kept(now: number, wanted: number): number {
    const { count } = this.#options.config
    if (!this.dynamic) return wanted
    return Math.max(wanted, wantedWorkers(count, this.#demand.most(now, count.idleMs)))
  }

  /** A request is over: until now there was one more than there are. */
  released(now: number): void {
    const { upstreams, capacity } = this.#options
    if (!this.dynamic || upstreams === undefined) return
    this.#demand.note(neededWorkers(upstreams.active + 1, capacity), now)
  }

  /** When the number has to be looked at again though nothing happens. */
  dueAt(now: number): number {
    const { count } = this.#options.config
    if (!this.dynamic) return Number.POSITIVE_INFINITY
    if (this.#options.upstreams === undefined) return now + lookMs
    const shrinkable = this.#roster.serving.length > count.min
    return shrinkable ? now + Math.max(20, count.idleMs / 4) : Number.POSITIVE_INFINITY
  }
}
