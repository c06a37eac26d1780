/**
 * A benchmark from beginning to end: a server for each mode, the same answer from each, warm-up, and then the modes
 * in turn, round by round, so that a disturbance from outside meets all of them.
 *
 * Gives plain data; words are made of it elsewhere. When the signal comes, what was measured so far is the result.
 * Whatever was started or written is gone when it settles.
 */
import { type Agreement, agree, ask, type WholeAnswer } from './answer.js'
import { BenchFailure } from './child.js'
import { Lane } from './lane.js'
import type { LoadPlan } from './load.js'
import { type LoadGenerator, startLoadGenerator } from './load-child.js'
import { describeMachine } from './machine.js'
import { seconds } from './numbers.js'
import type { BenchOptions } from './options.js'
import type { BenchResult, SkippedMode } from './result.js'
import { type ServerCommand, startServerProcess } from './server-process.js'
import { makeSite, type Site } from './site.js'
import { modeTitles, routeFor, routePrefix } from './subject.js'

export interface BenchSurroundings extends ServerCommand {
  /** Program and arguments of `load-process.ts`. */
  readonly loadCommand: readonly string[]
  /** Version of Postern. */
  readonly version: string
  /** Ends the benchmark; the result is what there is. */
  readonly signal: AbortSignal
  /** Gets a line, without its end, whenever something has happened. */
  readonly progress: (line: string) => void
}

/** How often each mode is asked before anything is measured: enough to see a body that is never the same. */
const asks = 3

/**
 * Runs a benchmark.
 * @throws BenchFailure when no mode can be started, modes answer differently, or a process ends early
 */
export async function runModes(
  options: BenchOptions,
  surroundings: BenchSurroundings,
): Promise<BenchResult> {
  const run = new Run(options, surroundings)
  try {
    await run.measure()
  } catch (error) {
    if (!surroundings.signal.aborted) throw error
  } finally {
    await run.end()
  }
  return run.result
}

class Run {
  readonly #options: BenchOptions
  readonly #surroundings: BenchSurroundings
  readonly #site: Site
  readonly #date = new Date().toISOString()
  readonly #lanes: Lane[] = []
  readonly #skipped: SkippedMode[] = []
  #agreement: Agreement | undefined
  #load: LoadGenerator | undefined
  #complete = false

  constructor(options: BenchOptions, surroundings: BenchSurroundings) {
    this.#options = options
    this.#surroundings = surroundings
    this.#site = makeSite()
  }

  async measure(): Promise<void> {
    const { signal, loadCommand, env, progress } = this.#surroundings
    await this.#startServers()
    this.#agreement = await this.#agree()
    progress(this.#describeAgreement(this.#agreement))
    const load = await startLoadGenerator(loadCommand, env, this.#site.directory)
    this.#load = load
    signal.throwIfAborted()
    signal.addEventListener('abort', () => void load.stop())
    await this.#warmUp(load)
    await this.#rounds(load)
    this.#complete = true
  }

  /** Ends and removes everything; what fails to end does not keep the rest. */
  async end(): Promise<void> {
    const servers = this.#lanes.map(lane => lane.server.stop())
    await Promise.allSettled([...servers, this.#load?.stop()])
    this.#site.remove()
  }

  get result(): BenchResult {
    const { subject, durationMs, warmUpMs, clients, rounds, workers } = this.#options
    return {
      format: 1,
      date: this.#date,
      machine: describeMachine(),
      versions: { postern: this.#surroundings.version, node: process.version },
      plan: {
        file: subject.file,
        target: this.#target,
        durationMs,
        warmUpMs,
        clients,
        rounds,
        workers,
      },
      answer: this.#agreement?.answer,
      comparison: this.#agreement?.comparison ?? 'body',
      modes: this.#lanes.map(lane => lane.result),
      skipped: [...this.#skipped],
      complete: this.#complete,
    }
  }

  get #target(): string {
    return routePrefix + this.#options.subject.target
  }

  /** A mode that this machine cannot run is left out, and the result says why. */
  async #startServers(): Promise<void> {
    const { signal, progress } = this.#surroundings
    const { subject, workers } = this.#options
    for (const mode of subject.modes) {
      const title = modeTitles[mode]
      const route = routeFor(mode, subject.file, workers)
      progress(`starting ${title}`)
      try {
        const server = await startServerProcess(this.#site, mode, route, this.#surroundings, signal)
        this.#lanes.push(new Lane(mode, route, server))
      } catch (error) {
        if (!(error instanceof BenchFailure)) throw error
        this.#skipped.push({ mode, title, reason: error.message })
        progress(`${title} is left out: ${error.message}`)
      }
    }
    const [first] = this.#skipped
    if (this.#lanes.length === 0) throw new BenchFailure(first?.reason ?? 'there is no mode to run')
  }

  async #agree(): Promise<Agreement> {
    const answers = new Map<string, WholeAnswer[]>()
    for (const { title, server } of this.#lanes) {
      const list: WholeAnswer[] = []
      for (let i = 0; i < asks; i++) {
        list.push(await ask(server, this.#target, this.#surroundings.signal))
      }
      answers.set(title, list)
    }
    try {
      return agree(answers)
    } catch (error) {
      throw this.#withComplaints(error)
    }
  }

  /** What a server has to say of an answer that cannot be measured. */
  #withComplaints(error: unknown): unknown {
    const said = this.#lanes.map(lane => lane.server.complaints()).filter(text => text !== '')
    if (!(error instanceof BenchFailure) || said.length === 0) return error
    return new BenchFailure(`${error.message}\n${said.join('\n')}`, { cause: error })
  }

  async #warmUp(load: LoadGenerator): Promise<void> {
    const { signal, progress } = this.#surroundings
    const { warmUpMs } = this.#options
    for (const lane of this.#lanes) {
      progress(`warming up ${lane.title}, ${seconds(warmUpMs)}; ${this.#timeLeft(0)}`)
      await lane.warmUp(load, this.#plan(lane, warmUpMs))
      signal.throwIfAborted()
    }
  }

  async #rounds(load: LoadGenerator): Promise<void> {
    const { signal, progress } = this.#surroundings
    const { rounds, durationMs } = this.#options
    let measured = 0
    for (let round = 1; round <= rounds; round++) {
      for (const lane of this.#lanes) {
        const sample = await lane.measure(load, this.#plan(lane, durationMs))
        signal.throwIfAborted()
        measured++
        progress(
          `round ${round} of ${rounds}: ${lane.title} ${sample.rate.toFixed(0)} requests/s; ${this.#timeLeft(measured)}`,
        )
      }
    }
  }

  #plan({ server }: Lane, durationMs: number): LoadPlan {
    const expected = this.#agreement?.expected
    if (expected === undefined) throw new Error('no answer is expected yet')
    const { host, port } = server
    const { clients } = this.#options
    return { host, port, target: this.#target, clients, durationMs, expected }
  }

  #describeAgreement({ answer, comparison }: Agreement): string {
    const { status, type, length } = answer
    const body = comparison === 'body' ? `${length} bytes` : 'a body that is never the same'
    const modes = this.#lanes.length === 1 ? '' : ', the same in every mode'
    return `the answer is ${status}, ${type}, ${body}${modes}`
  }

  #timeLeft(measured: number): string {
    const { rounds, durationMs } = this.#options
    return `${seconds((rounds * this.#lanes.length - measured) * durationMs)} of rounds left`
  }
}
