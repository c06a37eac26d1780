/**
 * Answers requests below one route by running scripts: START READING HERE for CGI.
 *
 * Find the script, make the body ready, wait for a place, start the process, hand its head on. What
 * grows: one run per process, bounded by the route's `processes`; requests in line, bounded by its
 * queue. Every run holds its place until the program is gone.
 */
import { Admission, type Release } from '../admission.js'
import { asGatewayError, GatewayError } from '../errors.js'
import type {
  ByteString,
  Gateway,
  GatewayRequest,
  GatewayResponse,
  ProgramExit,
} from '../gateway.js'
import type { Logger } from '../log.js'
import { type Child, SpawnError, type Spawner, type WarmSpawner } from '../process/spawner.js'
import { Slots } from '../slots.js'
import { reportDropped } from './dropped-headers.js'
import { createEnvironment, type EnvironmentBuilder } from './environment.js'
import { explainExecFailure } from './exec-failure.js'
import { HeadResponses } from './head-response.js'
import { isRequestVariable, metaVariables } from './meta-variables.js'
import type { CgiRouteConfig } from './options.js'
import { prepareBody, type ReadyBody } from './request-body.js'
import { createScriptFinder, type ScriptFinder, type ScriptFound } from './script.js'
import { ScriptRun } from './script-run.js'
import { watchStderr } from './script-stderr.js'

export interface CgiGatewayOptions {
  readonly route: CgiRouteConfig
  /** Absolute; DOCUMENT_ROOT and the base of PATH_TRANSLATED. */
  readonly documentRoot: ByteString | undefined
  readonly serverName: string | undefined
  readonly serverSoftware: string
  /** Longest pause of a client that sends a body, milliseconds; 0: none. */
  readonly clientBodyMs: number
  readonly spawner: Spawner
  readonly log: Logger
  /** The server's own environment, for the allow-list and `env.pass`. */
  readonly hostEnvironment: NodeJS.ProcessEnv
}

/** A program that runs, and when it and its last line are gone. */
interface Running {
  readonly run: ScriptRun
  readonly gone: Promise<void>
}

export class CgiGateway implements Gateway {
  readonly #options: CgiGatewayOptions
  readonly #warm: WarmSpawner | undefined
  readonly #find: ScriptFinder
  readonly #environment: EnvironmentBuilder
  readonly #admission: Admission
  readonly #responses: HeadResponses
  readonly #runs = new Slots<Running>()
  readonly #reportDropped: (name: ByteString, reason: string) => void

  constructor(options: CgiGatewayOptions) {
    const { route, hostEnvironment } = options
    this.#options = options
    this.#warm = route.warm ? warmSpawner(options) : undefined
    this.#find = createScriptFinder(route)
    this.#environment = createEnvironment(route.env, hostEnvironment)
    this.#admission = new Admission({
      places: route.processes,
      length: route.queue.length,
      waitMs: route.queue.waitMs,
    })
    this.#responses = new HeadResponses(route, options.log)
    this.#reportDropped = reportDropped(options.log)
  }

  async send(request: GatewayRequest): Promise<GatewayResponse> {
    const { route, clientBodyMs } = this.#options
    const found = this.#find(request.rest)
    if (found.kind === 'redirect') return this.#responses.redirect(found.path, request.query)
    request.facts.script = found.file
    if (route.methods !== undefined && !route.methods.includes(request.method)) {
      throw new GatewayError('METHOD_NOT_ALLOWED', route.methods.join(', '))
    }
    const body = await prepareBody(request, route, clientBodyMs)
    try {
      const env = this.#environment(this.#variables(request, found, body))
      const asked = performance.now()
      const release = await this.#admission.enter(request.signal)
      request.facts.queueMs = performance.now() - asked
      return await this.#run(request, found, body, env, release)
    } finally {
      body.dispose()
    }
  }

  async close(): Promise<void> {
    this.#admission.close()
    const running = [...this.#runs]
    for (const { run } of running) run.fail(new GatewayError('DRAINING'))
    await Promise.all(running.map(({ gone }) => gone))
    await this.#warm?.close()
  }

  kill(): void {
    this.#admission.close()
    for (const { run } of this.#runs) run.kill()
    this.#warm?.kill()
  }

  #variables(
    request: GatewayRequest,
    found: ScriptFound,
    body: ReadyBody,
  ): ReadonlyMap<string, ByteString> {
    const { route, documentRoot, serverSoftware, serverName } = this.#options
    return metaVariables({
      request,
      scriptName: found.scriptName,
      pathInfo: found.pathInfo,
      scriptFilename: found.file,
      documentRoot,
      contentLength: body.contentLength,
      serverSoftware,
      serverName,
      passAuthorization: route.passAuthorization,
      ambiguousHeaders: route.ambiguousHeaders,
      preset: route.preset,
      onDropped: this.#reportDropped,
    })
  }

  async #run(
    request: GatewayRequest,
    found: ScriptFound,
    body: ReadyBody,
    env: readonly ByteString[],
    release: Release,
  ): Promise<GatewayResponse> {
    let child: Child
    const started = performance.now()
    try {
      child = await this.#spawn(found, body, env)
    } catch (error) {
      release()
      throw error
    }
    request.facts.pid = child.pid
    request.facts.spawnMs = performance.now() - started
    return this.#converse(request, found, body, child, release)
  }

  async #spawn(found: ScriptFound, body: ReadyBody, env: readonly ByteString[]): Promise<Child> {
    try {
      return await (this.#warm ?? this.#options.spawner).spawn({
        file: found.exec,
        argv: found.argv,
        env,
        cwd: found.cwd,
        stdin: body.stdin,
      })
    } catch (error) {
      if (error instanceof SpawnError)
        throw explainExecFailure(found.exec, error.code, { cwd: found.cwd, script: found.file })
      throw asGatewayError(error)
    }
  }

  /** From here on the program lives: whatever happens, it is watched until it is gone. */
  #converse(
    request: GatewayRequest,
    found: ScriptFound,
    body: ReadyBody,
    child: Child,
    release: Release,
  ): Promise<GatewayResponse> {
    const { route, clientBodyMs, log } = this.#options
    const { facts, signal } = request
    const started = performance.now()
    const stderr = watchStderr(child, request, route.limits.stderrBytes, log)
    return new Promise((resolve, reject) => {
      let ended = (): void => {}
      const gone = new Promise<void>(settle => {
        ended = settle
      })
      const onAbort = (): void => run.fail(new GatewayError('CLIENT_LEFT'))
      const run = new ScriptRun(child, {
        times: { bodyMs: clientBodyMs, ...route.timeouts },
        graceMs: route.timeouts.graceMs,
        newHeadSource: () => this.#responses.newSource(found.nph ? 'required' : 'refused'),
        inform: head => request.inform(head.status, head.headers),
        onHead: head => {
          stderr.outcome('warn')
          try {
            resolve(this.#responses.response(request, head, run))
          } catch (error) {
            reject(error)
            run.cancel()
          }
        },
        onFailure: error => {
          stderr.outcome('error')
          reject(error)
        },
        onFirstByte: () => {
          facts.firstByteMs = performance.now() - started
        },
        onEnded: () => {
          signal.removeEventListener('abort', onAbort)
          this.#runs.remove(slot)
          release()
          void Promise.all([child.exited, stderr.closed]).then(([exit]) => {
            facts.exit = exit
            this.#reportExit(request, exit, run)
            ended()
          })
        },
      })
      const slot = this.#runs.add({ run, gone })
      facts.ended = gone
      facts.stderr = () => stderr.tail
      if (signal.aborted) onAbort()
      else signal.addEventListener('abort', onAbort)
      this.#feed(child, body, run)
    })
  }

  /** E-32: a complete answer stands, whatever the program says at its end. */
  #reportExit(request: GatewayRequest, exit: ProgramExit, run: ScriptRun): void {
    // Without a signal either nobody could tell how it ended.
    if ((exit.code ?? 0) === 0 && exit.signal === undefined) return
    if (run.failed) return
    const { script, pid } = request.facts
    const fields = { id: request.id, script, pid, code: exit.code, signal: exit.signal }
    this.#options.log.warn(fields, 'the program answered and then ended with a failure')
  }

  #feed(child: Child, body: ReadyBody, run: ScriptRun): void {
    if (child.stdin === undefined) {
      run.bodyDone()
      return
    }
    body.feed(child.stdin, {
      waitsForClient: () => run.deadlines.enter('body'),
      waitsForProgram: () => run.deadlines.enter('idle'),
      done: () => run.bodyDone(),
      refused: error => run.fail(error),
    })
  }
}

function warmSpawner({ spawner, log, route }: CgiGatewayOptions): WarmSpawner | undefined {
  if (spawner.warm !== undefined) return spawner.warm({ log, isRequestVariable })
  const reason = 'processes are not started by posix_spawn'
  log.warn({ route: route.path, reason }, 'warm mode is not to be had: scripts run fresh')
  return undefined
}
