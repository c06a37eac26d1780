/**
 * From the part of a URL path below a route to the script that answers it, SCRIPT_NAME and PATH_INFO.
 *
 * The walk is done afresh for each request: an lstat of a segment takes a few microseconds, and a script
 * that was replaced, added or removed a moment ago is seen at once. Nothing is kept but the interpreters
 * found, one per suffix in the config. The walk cannot climb: names that begin with a dot are never
 * looked up, and symbolic links are followed only as the route allows. Starting the script is
 * `script-process.ts`.
 */
import { lstatSync, realpathSync, type Stats, statSync } from 'node:fs'
import { fromText } from '../byte-string.js'
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'
import type { CgiRouteConfig } from './options.js'

/** A script to run. Paths are absolute. */
export interface ScriptFound {
  readonly kind: 'script'
  /** The script, through the links that led to it: SCRIPT_FILENAME. */
  readonly file: ByteString
  /** SCRIPT_NAME, slashes merged. */
  readonly scriptName: ByteString
  /** PATH_INFO exactly as it came, or undefined when nothing follows the script. */
  readonly pathInfo: ByteString | undefined
  /** What to execute: the script, or the interpreter mapped to its suffix. */
  readonly exec: ByteString
  /** Never words of the query: C-2, CVE-2012-1823, CVE-2024-4577. */
  readonly argv: readonly ByteString[]
  /** Directory of the script (RFC 3875 §7.2), or the route's own. */
  readonly cwd: ByteString
  /** Its name begins with `nph-`: it prints a whole HTTP response (RFC 3875 §5). */
  readonly nph: boolean
}

/** A directory that has an index script, named without its last slash. */
export interface DirectoryRedirect {
  readonly kind: 'redirect'
  /** The path with its slash, percent-encoded, ready for Location; the query is the caller's to add. */
  readonly path: ByteString
}

export type ScriptMatch = ScriptFound | DirectoryRedirect

/** Takes what is left of a path behind the route's prefix: empty, or begins with `/`. */
export type ScriptFinder = (rest: ByteString) => ScriptMatch

/**
 * Makes the finder of a route, whose interpreters are absolute by now.
 *
 * The finder is synchronous and throws GatewayError: SCRIPT_NOT_FOUND, SCRIPT_IS_DIRECTORY,
 * SCRIPT_NOT_EXECUTABLE, SCRIPT_OUTSIDE, NOT_FOUND for names that are never served,
 * FORBIDDEN for a folder that may not be entered.
 */
export function createScriptFinder(route: CgiRouteConfig): ScriptFinder {
  const place: Place = {
    target: withoutLastSlash(fromText(route.target)),
    prefix: withoutLastSlash(fromText(route.path)),
    index: route.index.map(fromText),
    cwd: route.cwd === undefined ? undefined : fromText(route.cwd),
    symlinks: route.symlinks,
    interpreterOf: createInterpreters(route.interpreters),
  }
  return route.program ? rest => findProgram(place, rest) : rest => findScript(place, rest)
}

/** A route as byte strings; target and prefix without their last slash. */
interface Place {
  readonly target: ByteString
  readonly prefix: ByteString
  readonly index: readonly ByteString[]
  readonly cwd: ByteString | undefined
  readonly symlinks: CgiRouteConfig['symlinks']
  readonly interpreterOf: (name: ByteString) => ByteString | undefined
}

function findProgram(place: Place, rest: ByteString): ScriptFound {
  // The target is the administrator's own word: a link there is meant.
  const stats = lookUp(place.target, place.target, 'follow')
  if (stats === undefined) throw new GatewayError('SCRIPT_NOT_FOUND')
  if (stats.isDirectory()) throw new GatewayError('SCRIPT_IS_DIRECTORY')
  return toScript(place, place.target, place.prefix, rest, stats)
}

function findScript(place: Place, rest: ByteString): ScriptMatch {
  const { target, prefix, symlinks } = place
  const end = walk(target, prefix, rest, isServable, file => lookUp(file, target, symlinks))
  if (end.kind === 'directory') return findIndex(place, end.file, end.scriptName, end.slashed)
  if (end.kind === 'nothing') throw new GatewayError('SCRIPT_NOT_FOUND')
  // the first segment that is not a directory is the script.
  return toScript(place, end.file, end.scriptName, end.pathInfo, end.stats)
}

/** The index script of a directory, or a redirect to the directory's proper name. */
function findIndex(
  place: Place,
  directory: ByteString,
  scriptName: ByteString,
  slashed: boolean,
): ScriptMatch {
  for (const name of place.index) {
    const file = `${directory}/${name}`
    const stats = lookUp(file, place.target, place.symlinks)
    if (stats === undefined || stats.isDirectory()) continue
    if (!slashed) return { kind: 'redirect', path: `${encodePath(scriptName)}/` }
    return toScript(place, file, `${scriptName}/${name}`, '', stats)
  }
  throw new GatewayError('SCRIPT_IS_DIRECTORY')
}

function toScript(
  place: Place,
  file: ByteString,
  scriptName: ByteString,
  pathInfo: ByteString,
  stats: Stats,
): ScriptFound {
  if (!stats.isFile()) throw new GatewayError('SCRIPT_NOT_FOUND', 'It is not a regular file.')
  const directoryEnd = file.lastIndexOf('/')
  const name = file.slice(directoryEnd + 1)
  const interpreter = place.interpreterOf(name)
  // refused before exec would, and never a static file.
  if (interpreter === undefined && (stats.mode & anyExecuteBit) === 0) {
    throw new GatewayError('SCRIPT_NOT_EXECUTABLE')
  }
  return {
    kind: 'script',
    file,
    scriptName,
    pathInfo: pathInfo === '' ? undefined : pathInfo,
    exec: interpreter ?? file,
    argv: interpreter === undefined ? [file] : [interpreter, file],
    cwd: place.cwd ?? (directoryEnd === 0 ? '/' : file.slice(0, directoryEnd)),
    nph: name.startsWith('nph-'),
  }
}

const slash = 0x2f
const anyExecuteBit = 0o111
const missingIsUndefined = { throwIfNoEntry: false } as const

/** Where a walk has ended. */
export type WalkEnd =
  /** `slashed`: the path has a slash at its end. */
  | {
      readonly kind: 'directory'
      readonly file: ByteString
      readonly scriptName: ByteString
      readonly slashed: boolean
    }
  /** Something that is no directory; `pathInfo` is what follows, as it came. */
  | {
      readonly kind: 'file'
      readonly file: ByteString
      readonly scriptName: ByteString
      readonly pathInfo: ByteString
      readonly stats: Stats
    }
  | { readonly kind: 'nothing' }

/**
 * Walks down from the folder `root`, whose URL path is `prefix`, along `rest`, runs of slashes merged, to the first
 * segment that is not a directory. Both begin without a last slash.
 * @throws GatewayError NOT_FOUND for a name that `isShown` does not have, and what `look` throws
 */
export function walk(
  root: ByteString,
  prefix: ByteString,
  rest: ByteString,
  isShown: (name: ByteString) => boolean,
  look: (file: ByteString) => Stats | undefined,
): WalkEnd {
  let file = root
  let scriptName = prefix
  let at = 0
  for (;;) {
    const before = at
    while (rest.charCodeAt(at) === slash) at++
    if (at === rest.length) return { kind: 'directory', file, scriptName, slashed: at > before }

    const next = rest.indexOf('/', at)
    const end = next === -1 ? rest.length : next
    const name = rest.slice(at, end)
    if (!isShown(name)) throw new GatewayError('NOT_FOUND', 'Such names are never served.')
    file += `/${name}`
    scriptName += `/${name}`
    const stats = look(file)
    if (stats === undefined) return { kind: 'nothing' }
    if (!stats.isDirectory()) {
      return { kind: 'file', file, scriptName, pathInfo: rest.slice(end), stats }
    }
    at = end
  }
}

export function withoutLastSlash(path: ByteString): ByteString {
  return path.endsWith('/') ? path.slice(0, -1) : path
}

/** a line end is data in PATH_INFO but not part of a script's name. */
export function isServable(name: ByteString): boolean {
  if (name.charCodeAt(0) === 0x2e || name.endsWith('~')) return false
  if (name.endsWith('.bak') || name.endsWith('.swp')) return false
  for (let i = 0; i < name.length; i++) {
    const char = name.charCodeAt(i)
    if (char === 0x0a || char === 0x0d || char === 0 || char > 0xff) return false
  }
  return true
}

/**
 * What is at a path, links followed as far as allowed; undefined when there is nothing.
 * @throws GatewayError SCRIPT_OUTSIDE, FORBIDDEN
 */
export function lookUp(
  file: ByteString,
  root: ByteString,
  symlinks: CgiRouteConfig['symlinks'],
): Stats | undefined {
  const path = toPath(file)
  try {
    const stats = lstatSync(path, missingIsUndefined)
    if (stats === undefined || !stats.isSymbolicLink()) return stats
    if (symlinks === 'refuse') throw new GatewayError('SCRIPT_OUTSIDE')
    if (symlinks === 'inside' && !isInside(path, root)) throw new GatewayError('SCRIPT_OUTSIDE')
    return statSync(path, missingIsUndefined)
  } catch (error) {
    if (error instanceof GatewayError) throw error
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EACCES') throw new GatewayError('FORBIDDEN', '', { cause: error })
    if (typeof code === 'string' && nothingThere.has(code)) return undefined
    throw error
  }
}

/** Errors that mean: no such file. ENOTDIR when a folder was replaced during the walk, ELOOP for links in a circle. */
const nothingThere: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP'])

/** Whether the real path stays below the real root; the separator counts, `/srv/cgi-old` is not in `/srv/cgi`. */
function isInside(path: string | Buffer, root: ByteString): boolean {
  const real = realpathSync.native(path, 'buffer')
  const realRoot = realpathSync.native(root === '' ? '/' : toPath(root), 'buffer')
  const separated = realRoot.length === 1 ? realRoot : Buffer.concat([realRoot, Buffer.from('/')])
  return real.equals(realRoot) || real.subarray(0, separated.length).equals(separated)
}

/** For node:fs: text when ASCII, which is faster, else the bytes themselves. */
export function toPath(file: ByteString): string | Buffer {
  for (let i = 0; i < file.length; i++) {
    if (file.charCodeAt(i) > 0x7f) return Buffer.from(file, 'latin1')
  }
  return file
}

/** Percent-encodes all but what is plain in a path. */
export function encodePath(path: ByteString): string {
  return path.replace(notPlain, char => {
    return `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
  })
}

const notPlain = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/]/g

/** File name → interpreter of its suffix, the longest suffix first; undefined when none is mapped. */
function createInterpreters(
  interpreters: CgiRouteConfig['interpreters'],
): (name: ByteString) => ByteString | undefined {
  const mapped = Object.entries(interpreters)
    .map(([suffix, interpreter]) => ({
      suffix: fromText(suffix),
      interpreter: fromText(interpreter),
    }))
    .sort((a, b) => b.suffix.length - a.suffix.length)
  return name => mapped.find(({ suffix }) => name.endsWith(suffix))?.interpreter
}
