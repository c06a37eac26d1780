/**
 * The load generator: a closed loop over keep-alive connections. Each asks, waits for the whole answer, and asks
 * again until the time is up; then every connection may still get the answer it waits for.
 *
 * A closed loop slows down with the server, so what it finds is the ceiling, not the latency at a given rate. What
 * bounds it: the number of connections, `drainMs` after the time, and `reconnectMs` between attempts to connect.
 */
import { AnswerCheck, type Expected } from './answer-check.js'
import { Latencies } from './latencies.js'
import { LoadConnection, type Outcome } from './load-connection.js'

/** What every connection asks for again and again. */
export interface LoadPlan {
  readonly host: string
  readonly port: number
  /** Path and query. */
  readonly target: string
  readonly clients: number
  readonly durationMs: number
  readonly expected: Expected
}

export interface LoadReport {
  /** How long requests were sent. */
  readonly seconds: number
  /** Right answers within the time. */
  readonly requests: number
  /** Right answers after it. */
  readonly drained: number
  /** Requests without a whole answer, and answers of 5xx. */
  readonly errors: number
  /** Whole answers that are not the expected one. */
  readonly wrong: number
  /** Of right answers, those after the time included; undefined when there were none. */
  readonly p50Ms: number | undefined
  readonly p99Ms: number | undefined
  readonly maxMs: number | undefined
  /** CPU time of this process. */
  readonly cpuSeconds: number
}

/** How long the last answers are waited for; a request that takes longer is an error. */
export const defaultDrainMs = 10_000

/** Between a connection that failed and the next: a server that is gone must not be a busy loop. */
const reconnectMs = 10

/**
 * Runs one round; settles when every connection has its last answer.
 * @param signal ends it at once: whoever still waits has an error
 */
export async function runLoad(
  plan: LoadPlan,
  signal: AbortSignal,
  drainMs = defaultDrainMs,
): Promise<LoadReport> {
  const round = new Round(plan)
  const cpuBefore = process.cpuUsage()
  await round.run(signal, drainMs)
  const cpu = process.cpuUsage(cpuBefore)
  return {
    seconds: plan.durationMs / 1000,
    ...round.counts,
    p50Ms: round.latencies.within(0.5),
    p99Ms: round.latencies.within(0.99),
    maxMs: round.latencies.within(1),
    cpuSeconds: (cpu.user + cpu.system) / 1_000_000,
  }
}

class Round {
  readonly latencies = new Latencies()
  readonly counts = { requests: 0, drained: 0, errors: 0, wrong: 0 }
  readonly #plan: LoadPlan
  readonly #running = new Set<LoadConnection>()
  #over = false
  #finished: () => void = () => {}

  constructor(plan: LoadPlan) {
    this.#plan = plan
  }

  run(signal: AbortSignal, drainMs: number): Promise<void> {
    const request = requestBytes(this.#plan)
    for (let client = 0; client < this.#plan.clients; client++) {
      const check = new AnswerCheck(this.#plan.expected)
      const connection = new LoadConnection(this.#plan, request, check, (outcome, ms) =>
        this.#take(connection, outcome, ms),
      )
      this.#running.add(connection)
    }
    const { durationMs } = this.#plan
    return new Promise(resolve => {
      const giveUp = (): void => this.#giveUp()
      const over = setTimeout(() => {
        this.#over = true
      }, durationMs)
      const drained = setTimeout(giveUp, durationMs + drainMs)
      signal.addEventListener('abort', giveUp)
      this.#finished = () => {
        clearTimeout(over)
        clearTimeout(drained)
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      for (const connection of this.#running) connection.ask()
    })
  }

  #take(connection: LoadConnection, outcome: Outcome, ms: number): void {
    this.#count(outcome, ms)
    if (outcome === 'error') setTimeout(() => this.#next(connection), reconnectMs)
    else this.#next(connection)
  }

  #next(connection: LoadConnection): void {
    if (this.#over) this.#finish(connection)
    else connection.ask()
  }

  #count(outcome: Outcome, ms: number): void {
    if (outcome === 'error') this.counts.errors++
    if (outcome === 'wrong') this.counts.wrong++
    if (outcome !== 'right') return
    this.latencies.add(ms)
    if (this.#over) this.counts.drained++
    else this.counts.requests++
  }

  #finish(connection: LoadConnection): void {
    connection.destroy()
    this.#running.delete(connection)
    if (this.#running.size === 0) this.#finished()
  }

  /** Whoever still waits has waited too long. */
  #giveUp(): void {
    this.#over = true
    for (const connection of this.#running) {
      this.counts.errors++
      this.#finish(connection)
    }
  }
}

function requestBytes({ host, port, target }: LoadPlan): Buffer {
  return Buffer.from(`GET ${target} HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`, 'latin1')
}
