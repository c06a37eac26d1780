/**
 * One fork server: an interpreter that has loaded itself and forks a child for each script it is asked to run.
 *
 * The child tells its pid itself, over the channel that it then closes. So when the channel ends without a
 * word about a start, no script was begun, and it is safe to begin it fresh. An ended child stays a zombie
 * of the fork server until it is asked for (`reap`), so its pid is not given to anybody else meanwhile. What
 * grows: starts under way and children that run, both bounded by the route's `processes`.
 */
import type { ByteString } from '../gateway.js'
import type { Logger } from '../log.js'
import { type Slot, Slots } from '../slots.js'
import { type ChildPipes, childOf, openPipes, type PipeTools } from './child-pipes.js'
import { ForkExits } from './fork-exits.js'
import { type ForkMessages, openChannel } from './fork-message.js'
import { readable } from './poller.js'
import { type Child, SpawnError, type Spawner, type SpawnSpec } from './spawner.js'
import { StderrLines } from './stderr-lines.js'

export interface ForkServerOptions {
  readonly tools: PipeTools
  readonly messages: ForkMessages
  readonly log: Logger
  /** The longest silence while an answer is due, milliseconds. */
  readonly patienceMs: number
  /** The script must not be forked from this interpreter. */
  readonly onRefused: (script: ByteString, reason: string) => void
  /** It is gone, or takes no more starts; told once. */
  readonly onGone: () => void
}

interface Start {
  readonly spec: SpawnSpec
  readonly pipes: ChildPipes
  readonly resolve: (child: Child | undefined) => void
  readonly reject: (error: Error) => void
}

/** Output of a fork server that is logged; what comes later is dropped. */
const mostOutputBytes = 64 * 1024

/**
 * Starts one and waits until it is ready.
 * @throws Error with a reason when it ends or stays silent instead
 */
export async function startForkServer(
  fresh: Spawner,
  spec: Omit<SpawnSpec, 'stdin'>,
  options: ForkServerOptions,
): Promise<ForkServer> {
  const { libc } = options.tools
  const channel = openChannel(libc)
  const process = await fresh
    .spawn({ ...spec, stdin: channel.servers })
    .catch((error: unknown) => {
      libc.close(channel.ours)
      throw error
    })
    // Ours would hide its end.
    .finally(() => libc.close(channel.servers))
  const server = new ForkServer(process, channel.ours, options)
  await server.ready
  return server
}

export class ForkServer {
  /** Settles when it takes starts; rejects when it never will. */
  readonly ready: Promise<void>
  readonly #process: Child
  readonly #channel: number
  readonly #options: ForkServerOptions
  #starts = new Slots<Start>()
  readonly #exits: ForkExits
  /** Messages for which the channel had no room. */
  #unsent: (() => boolean)[] = []
  /** Answers that are due. */
  #due = 1
  #state: 'open' | 'killed' | 'gone' = 'open'
  #silence: NodeJS.Timeout | undefined
  #becameReady = (): void => {}
  #neverReady = (_error: Error): void => {}

  constructor(process: Child, channel: number, options: ForkServerOptions) {
    this.#process = process
    this.#channel = channel
    this.#options = options
    this.#exits = new ForkExits(options.tools, (slot, pid) => this.#askForExit(slot, pid))
    this.ready = new Promise((resolve, reject) => {
      this.#becameReady = resolve
      this.#neverReady = reject
    })
    this.#watchOutput()
    options.tools.poller.add(channel, readable, () => this.#receive())
    this.#expect(0)
  }

  get pid(): number {
    return this.#process.pid
  }

  /**
   * Forks a child for the script; undefined when it must be started fresh, because nothing was begun. `tail` is
   * the end of the message: the number of arguments, the arguments, the variables, a NUL before each.
   * @throws SpawnError when there are no descriptors, or nobody can tell whether it was begun
   */
  start(script: ByteString, tail: ByteString, spec: SpawnSpec): Promise<Child | undefined> {
    if (this.#state !== 'open') return Promise.resolve(undefined)
    const pipes = openPipes(this.#options.tools, spec)
    return new Promise((resolve, reject) => {
      const slot = this.#starts.add({ spec, pipes, resolve, reject })
      this.#expect(1)
      const input = typeof spec.stdin === 'number' ? 'file' : spec.stdin
      const words = `start\0${slot}\0${script}\0${spec.cwd}\0${input}${tail}`
      this.#send(() => {
        if (!this.#options.messages.send(this.#channel, words, pipes.stdio)) return false
        pipes.closeChilds()
        return true
      })
    })
  }

  /** Lets it end; settles when it is gone. */
  async close(): Promise<void> {
    if (this.#state !== 'gone' && this.#starts.size > 0) this.kill()
    this.#end()
    const late = setTimeout(() => this.#process.kill('SIGKILL'), this.#options.patienceMs)
    await this.#process.exited
    clearTimeout(late)
    // Whoever tries modules for it is of its group; the children of requests are not.
    this.#process.kill('SIGKILL')
  }

  /** KILL at once. What was being started is started fresh. */
  kill(): void {
    if (this.#state !== 'open') return
    this.#state = 'killed'
    this.#process.kill('SIGKILL')
    this.#options.onGone()
  }

  #watchOutput(): void {
    const { log } = this.#options
    const lines = new StderrLines({
      capBytes: mostOutputBytes,
      emit: line => log.warn({ pid: this.pid, line }, 'a fork server says'),
    })
    this.#process.stdout.start(
      chunk => lines.push(chunk),
      () => {},
    )
    this.#process.stderr.start(
      chunk => lines.push(chunk),
      () => lines.end(),
    )
  }

  #send(attempt: () => boolean): void {
    if (this.#unsent.length > 0 || !attempt()) this.#unsent.push(attempt)
  }

  #receive(): void {
    while (this.#state !== 'gone') {
      const words = this.#options.messages.receive(this.#channel)
      if (words === undefined) break
      if (words.length === 0) {
        this.#end()
        return
      }
      this.#take(words)
    }
    while (this.#unsent[0]?.() === true) this.#unsent.shift()
  }

  #take([what, first = '', ...more]: readonly ByteString[]): void {
    switch (what) {
      case 'ready':
        this.#expect(-1)
        this.#becameReady()
        return
      case 'started':
        this.#started(Number(first), Number(more[0]))
        return
      case 'fresh':
        this.#notStarted(Number(first))
        return
      case 'exited':
        this.#expect(-1)
        this.#exits.told(Number(first), more.map(Number))
        return
      case 'running':
        this.#expect(-1)
        this.#exits.stillRuns(Number(first))
        return
      case 'refused':
        this.#options.onRefused(first, more[0] ?? '')
        return
      default:
        this.#options.log.error({ pid: this.pid, what }, 'a fork server says what nobody knows')
        this.kill()
    }
  }

  #started(slot: Slot, pid: number): void {
    const start = this.#takeStart(slot)
    if (start === undefined) return
    start.resolve(childOf(this.#options.tools, pid, start.pipes.ours, this.#exits.until(pid)))
  }

  #notStarted(slot: Slot): void {
    const start = this.#takeStart(slot)
    if (start === undefined) return
    start.pipes.closeOurs()
    start.resolve(undefined)
  }

  #takeStart(slot: Slot): Start | undefined {
    const start = this.#starts.at(slot)
    if (start === undefined) return undefined
    this.#starts.remove(slot)
    this.#expect(-1)
    return start
  }

  #askForExit(slot: Slot, pid: number): void {
    this.#expect(1)
    this.#send(() => this.#options.messages.send(this.#channel, `reap\0${slot}\0${pid}`))
  }

  /** More or fewer answers are due: silence is measured from here. */
  #expect(more: number): void {
    this.#due += more
    if (this.#due <= 0 || this.#state === 'gone') {
      clearTimeout(this.#silence)
      this.#silence = undefined
      return
    }
    if (this.#silence === undefined) {
      this.#silence = setTimeout(() => this.#tooSilent(), this.#options.patienceMs)
    } else if (more <= 0) this.#silence.refresh()
  }

  #tooSilent(): void {
    this.#silence = undefined
    const { log, patienceMs } = this.#options
    if (this.#state === 'open') {
      log.warn({ pid: this.pid, patienceMs }, 'a fork server does not answer and is replaced')
      this.kill()
      this.#expect(0)
      return
    }
    // Killed, and a child of it still holds the channel without having said that it runs.
    for (const { reject, spec } of this.#starts) reject(new SpawnError('ETIMEDOUT', spec.file))
    this.#end()
  }

  /** The channel is at its end: nobody will answer any more. */
  #end(): void {
    if (this.#state === 'gone') return
    if (this.#state === 'open') this.#options.onGone()
    this.#state = 'gone'
    this.#expect(0)
    this.#options.tools.poller.close(this.#channel)
    this.#unsent = []
    this.#neverReady(new Error('it ended before it was ready'))
    for (const { pipes, resolve } of this.#starts) {
      pipes.closeChilds()
      pipes.closeOurs()
      resolve(undefined)
    }
    this.#starts = new Slots()
    this.#exits.giveUp()
  }
}
