/**
 * A spawner that forks scripts off warm interpreters and starts everything else fresh: warm CGI.
 *
 * One fork server for each interpreter, its flags and everything in the environment that does not belong to the
 * request; started by the first script that needs it, and replaced when it has died or hung. Whatever goes wrong
 * with one costs the request no more than a fresh start. What grows: fork servers, at most `mostServers`.
 */
import { toText } from '../byte-string.js'
import type { ByteString } from '../gateway.js'
import type { Logger } from '../log.js'
import type { PipeTools } from './child-pipes.js'
import { ForkMessages, mostMessageBytes } from './fork-message.js'
import { type ForkServer, startForkServer } from './fork-server.js'
import type { Child, Spawner, SpawnSpec, WarmOptions, WarmSpawner } from './spawner.js'
import { isWrapped, type WarmProgram, WarmPrograms } from './warm-program.js'

const mostServers = 8
/** What is left of a message beside its first words. */
const mostTextBytes = mostMessageBytes - 100
const defaultPatienceMs = 5_000
/** One that lived no longer than this did not live. */
const shortLifeMs = 1_000
/** So many short lives in a row are no accident. */
const mostShortLives = 3
/** Time from a failed start, or a short life too many, to the next attempt, doubling. */
const firstPauseMs = 1_000
const longestPauseMs = 60_000

/** The fork server of one key, or the place for one. */
interface Place {
  server: ForkServer | undefined
  starting: Promise<ForkServer | undefined> | undefined
  /** No attempt before this time. */
  notBefore: number
  pauseMs: number
  /** Short lives in a row. */
  shortLives: number
}

/** An environment in its two halves. */
interface Halves {
  /** What the interpreter starts with. */
  readonly base: readonly ByteString[]
  /** The request's own, each behind a NUL. */
  readonly variables: ByteString
}

export class ForkServers implements WarmSpawner {
  readonly name = 'warm'
  readonly #tools: PipeTools
  readonly #fresh: Spawner
  readonly #log: Logger
  readonly #isRequestVariable: (name: string) => boolean
  readonly #patienceMs: number
  readonly #messages: ForkMessages
  readonly #programs = new WarmPrograms()
  readonly #places = new Map<string, Place>()
  /** Name and PATH → whether what is found there is a wrapper; forgotten at `mostServers`. */
  readonly #wrapped = new Map<string, boolean>()
  #crowded = false
  #closed = false

  constructor(tools: PipeTools, fresh: Spawner, options: WarmOptions) {
    this.#tools = tools
    this.#fresh = fresh
    this.#log = options.log
    this.#isRequestVariable = options.isRequestVariable
    this.#patienceMs = options.patienceMs ?? defaultPatienceMs
    this.#messages = new ForkMessages(tools.libc)
  }

  async spawn(spec: SpawnSpec): Promise<Child> {
    const verdict = this.#programs.of(spec)
    if (verdict === undefined || this.#closed) return await this.#fresh.spawn(spec)
    if ('refused' in verdict) {
      this.#tellRefusal(spec.argv[1] ?? spec.file, verdict.refused)
      return await this.#fresh.spawn(spec)
    }
    return (await this.#fork(verdict, spec)) ?? (await this.#fresh.spawn(spec))
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(
      [...this.#places.values()].map(async place => await (await serverOf(place))?.close()),
    )
  }

  kill(): void {
    this.#closed = true
    for (const { server, starting } of this.#places.values()) {
      server?.kill()
      void starting?.then(started => started?.kill())
    }
  }

  async #fork(program: WarmProgram, spec: SpawnSpec): Promise<Child | undefined> {
    const halves = this.#halve(spec.env)
    if (halves === undefined) return undefined
    const words = spec.argv.slice(2)
    const tail = ['', words.length, ...words].join('\0') + halves.variables
    if (tail.length + program.script.length + spec.cwd.length > mostTextBytes) return undefined
    const place = this.#placeOf(program, spec, halves)
    if (place === undefined) return undefined
    const server = place.server ?? (await this.#serverFor(place, program, spec, halves))
    return await server?.start(program.script, tail, spec)
  }

  /** Undefined for an environment that setenv(3) could not make. */
  #halve(env: readonly ByteString[]): Halves | undefined {
    const base: ByteString[] = []
    let variables = ''
    for (const entry of env) {
      const end = entry.indexOf('=')
      if (end <= 0) return undefined
      if (this.#isRequestVariable(entry.slice(0, end))) variables += `\0${entry}`
      else base.push(entry)
    }
    return { base, variables }
  }

  #placeOf(program: WarmProgram, spec: SpawnSpec, { base }: Halves): Place | undefined {
    const key = [...program.argv, '', ...base].join('\0') + this.#folderOf(program, spec, base)
    const known = this.#places.get(key)
    if (known !== undefined) return known
    if (this.#places.size >= mostServers) {
      if (!this.#crowded) {
        const message =
          'too many interpreters or environments for warm mode: further ones run fresh'
        this.#log.warn({ script: shown(program.script), servers: mostServers }, message)
      }
      this.#crowded = true
      return undefined
    }
    const place: Place = {
      server: undefined,
      starting: undefined,
      notBefore: 0,
      pauseMs: firstPauseMs,
      shortLives: 0,
    }
    this.#places.set(key, place)
    return place
  }

  /** A wrapper of an interpreter may look at the folder it is started in. */
  #folderOf({ named }: WarmProgram, spec: SpawnSpec, base: readonly ByteString[]): string {
    if (named === undefined) return ''
    const path = base.find(entry => entry.startsWith('PATH='))?.slice(5) ?? ''
    const key = `${named}\0${path}`
    const wrapped = this.#wrapped.get(key) ?? isWrapped(named, path)
    if (this.#wrapped.size >= mostServers) this.#wrapped.clear()
    this.#wrapped.set(key, wrapped)
    return wrapped ? `\0${spec.cwd}` : ''
  }

  async #serverFor(
    place: Place,
    program: WarmProgram,
    spec: SpawnSpec,
    { base }: Halves,
  ): Promise<ForkServer | undefined> {
    if (place.starting === undefined) {
      if (performance.now() < place.notBefore) return undefined
      place.starting = this.#startServer(place, program, spec, base)
    }
    return await place.starting
  }

  async #startServer(
    place: Place,
    program: WarmProgram,
    { cwd }: SpawnSpec,
    env: readonly ByteString[],
  ): Promise<ForkServer | undefined> {
    const interpreter = program.argv.map(shown).join(' ')
    const born = performance.now()
    try {
      const argv = [...program.argv, program.server]
      const server = await startForkServer(
        this.#fresh,
        { file: program.file, argv, env, cwd },
        {
          tools: this.#tools,
          messages: this.#messages,
          log: this.#log,
          patienceMs: this.#patienceMs,
          onRefused: (script, reason) => this.#programs.refuse(script, reason),
          onGone: () => {
            if (place.server !== undefined && !this.#closed) this.#mourn(place, interpreter, born)
            place.server = undefined
          },
        },
      )
      this.#log.debug({ interpreter, pid: server.pid }, 'a fork server is ready')
      place.server = server
      return server
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#log.warn({ interpreter, reason }, 'no fork server: its scripts run fresh')
      pause(place)
      return undefined
    } finally {
      place.starting = undefined
    }
  }

  #mourn(place: Place, interpreter: string, born: number): void {
    this.#log.info({ interpreter }, 'a fork server has ended; the next script starts another')
    if (performance.now() - born > shortLifeMs) {
      place.shortLives = 0
      place.pauseMs = firstPauseMs
      return
    }
    place.shortLives++
    if (place.shortLives >= mostShortLives) pause(place)
  }

  #tellRefusal(script: ByteString, reason: string): void {
    this.#programs.told(script)
    this.#log.warn({ script: shown(script), reason }, 'warm mode is refused: the script runs fresh')
  }
}

function pause(place: Place): void {
  place.notBefore = performance.now() + place.pauseMs
  place.pauseMs = Math.min(2 * place.pauseMs, longestPauseMs)
}

async function serverOf({ server, starting }: Place): Promise<ForkServer | undefined> {
  return server ?? (await starting)
}

function shown(bytes: ByteString): string {
  return toText(bytes) ?? bytes
}
