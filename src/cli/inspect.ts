/**
 * What each script of a cgi route would do if it were asked for: how it runs, or why it cannot.
 *
 * The verdict on names, links and modes is that of the gateway's own walk (`cgi/script.ts`); this file
 * adds what only exec would find out: the `#!` line. Nothing is run. Bounded by the number of scripts
 * looked into and of names looked at; the loop gives way to requests between handfuls of scripts.
 */
import { lstatSync, readdirSync, realpathSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { fromText } from '../byte-string.js'
import { createScriptFinder, type ScriptFinder, type ScriptFound } from '../cgi/script.js'
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'
import { WarmPrograms } from '../process/warm-program.js'
import type { CgiRouteConfig } from '../server/config.js'
import { searchPathOf } from '../server/search-path.js'
import { fault, inspectProgram, type ProgramVerdict } from './inspect-program.js'

/** One script below a route. */
export interface ScriptReport {
  /** Path below the server, percent-encoded. */
  readonly url: string
  readonly verdict: ProgramVerdict
}

/** The scripts of one route. */
export interface RouteReport {
  /** In the order of their names, folder by folder. */
  readonly scripts: readonly ScriptReport[]
  /** Further scripts that were not looked into. */
  readonly more: number
  /** False when the walk ended at its limit, so that `more` is a least number. */
  readonly complete: boolean
}

export interface InspectLimits {
  /** Scripts looked into. */
  readonly scripts: number
  /** Names looked at, folders included. */
  readonly names: number
}

const bannerLimits: InspectLimits = { scripts: 200, names: 10_000 }

/** Names looked at before waiting requests get their turn. */
const handful = 16

/**
 * Looks at what a route would run.
 * @param env the server's environment, for the PATH that scripts get
 */
export async function inspectRoute(
  route: CgiRouteConfig,
  env: NodeJS.ProcessEnv,
  limits: InspectLimits = bannerLimits,
): Promise<RouteReport> {
  const searchPath = searchPathOf(route.env, env)
  const scripts: ScriptReport[] = []
  let names = 0
  let more = 0
  for (const { rest, found } of walk(route)) {
    if (names >= limits.names) return { scripts, more, complete: false }
    names++
    if (names % handful === 0) await setImmediate()
    if (found === undefined) continue
    if (scripts.length >= limits.scripts) more++
    else scripts.push({ url: urlOf(route, rest), verdict: judge(route, rest, found, searchPath) })
  }
  return { scripts, more, complete: true }
}

/** A name below the route; `found` is undefined for a folder and for what is never served. */
interface Step {
  readonly rest: ByteString
  readonly folder: boolean
  readonly found: ScriptFound | GatewayError | undefined
}

function walk(route: CgiRouteConfig): Iterable<Step> {
  const find = createScriptFinder(route)
  if (route.program) return [stepOf(find, '')]
  return walkFolder(find, route, '', new Set())
}

/** @param seen real paths of the folders on the way: a link may lead round in a circle */
function* walkFolder(
  find: ScriptFinder,
  route: CgiRouteConfig,
  rest: ByteString,
  seen: Set<string>,
): Generator<Step> {
  const folder = fileOf(route, rest)
  let names: string[]
  try {
    const real = realpathSync.native(folder)
    if (seen.has(real)) return
    seen.add(real)
    names = readdirSync(folder, 'latin1').sort()
  } catch (error) {
    yield { rest, folder: false, found: new GatewayError('FORBIDDEN', '', { cause: error }) }
    return
  }
  for (const name of names) {
    const step = stepOf(find, `${rest}/${name}`)
    yield step
    if (step.folder) yield* walkFolder(find, route, step.rest, seen)
  }
}

/** What the gateway would make of a request for this path. */
function stepOf(find: ScriptFinder, rest: ByteString): Step {
  try {
    const match = find(rest)
    if (match.kind === 'script') return { rest, folder: false, found: match }
    return { rest, folder: true, found: undefined }
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    if (error.code === 'SCRIPT_IS_DIRECTORY') return { rest, folder: true, found: undefined }
    // names that are never served are no scripts.
    const found = error.code === 'NOT_FOUND' ? undefined : error
    return { rest, folder: false, found }
  }
}

function judge(
  route: CgiRouteConfig,
  rest: ByteString,
  found: ScriptFound | GatewayError,
  searchPath: string,
): ProgramVerdict {
  if (!(found instanceof GatewayError)) {
    const verdict = inspectProgram(found, searchPath)
    if (!route.warm || verdict.runs === undefined || !isWarm(found)) return verdict
    return { runs: `${verdict.runs}, warm` }
  }
  const problem = problemOf(found, route, rest)
  const remedy = problem === brokenLink ? 'remove it, or create its target' : found.remedy
  return fault(problem, remedy)
}

function isWarm({ exec, argv }: ScriptFound): boolean {
  const program = new WarmPrograms().of({ file: exec, argv })
  return program !== undefined && !('refused' in program)
}

const brokenLink = 'a broken symbolic link'

function problemOf(error: GatewayError, route: CgiRouteConfig, rest: ByteString): string {
  switch (error.code) {
    case 'SCRIPT_NOT_EXECUTABLE':
      return 'not executable'
    case 'SCRIPT_OUTSIDE':
      return route.symlinks === 'refuse'
        ? 'a symbolic link, which the route refuses'
        : 'a symbolic link that leaves the directory'
    case 'SCRIPT_NOT_FOUND':
      return isLink(fileOf(route, rest)) ? brokenLink : 'not a regular file'
    case 'FORBIDDEN':
      return 'cannot be read'
    case 'INTERPRETER_NOT_FOUND':
      return `its interpreter was not found: ${error.detail}`
    default:
      return error.message
  }
}

function isLink(file: Buffer): boolean {
  return lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() === true
}

function fileOf(route: CgiRouteConfig, rest: ByteString): Buffer {
  return Buffer.from(fromText(route.target) + rest, 'latin1')
}

/** The path of the URL; bytes that are not plain are percent-encoded one by one. */
function urlOf(route: CgiRouteConfig, rest: ByteString): string {
  const path = route.program ? fromText(route.path) : fromText(route.path).slice(0, -1) + rest
  return path.replace(/[^A-Za-z0-9\-._~!$&'()*+,;=:@/]/g, byte => {
    return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
  })
}
