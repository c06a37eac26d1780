/**
 * From the path below a route with `root` and `split` to the script that a FastCGI application runs, or to a
 * file beside the scripts that is sent as it is.
 *
 * The walk is that of `cgi/script.ts`: afresh for each request, inside the root, hidden names never. Only a file
 * that is there is given PATH_INFO, and only one whose name ends in `split`, byte for byte. Whatever
 * might be the source of a script is no static file, in any case and through any link (L-12).
 */
import { realpathSync, type Stats } from 'node:fs'
import { fromText } from '../byte-string.js'
import { encodePath, isServable, lookUp, toPath, walk, withoutLastSlash } from '../cgi/script.js'
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'

export interface FileFinderOptions {
  /** Path prefix of the route, begins and ends with `/`. */
  readonly path: string
  /** Absolute folder. */
  readonly root: string
  /** Names tried for a directory; the first script among them at the root answers what is not there. */
  readonly index: readonly string[]
  /** How the name of a script ends (`.php`); undefined: every file is a script. */
  readonly split: string | undefined
}

/** What a path means; files are absolute. */
export type FileMatch =
  | {
      readonly kind: 'script'
      /** Through the links that led to it: SCRIPT_FILENAME. */
      readonly file: ByteString
      /** SCRIPT_NAME, slashes merged; the prefix of the route included. */
      readonly scriptName: ByteString
      /** PATH_INFO exactly as it came, or undefined when nothing follows the script. */
      readonly pathInfo: ByteString | undefined
    }
  /** A file to send; its real path, without links. */
  | { readonly kind: 'file'; readonly file: ByteString }
  /** A directory without its last slash: the path with it, percent-encoded; the query is the caller's to add. */
  | { readonly kind: 'redirect'; readonly path: ByteString }

/** Takes what is left of a path behind the route's prefix: empty, or begins with `/`. */
export type FileFinder = (rest: ByteString) => FileMatch

/**
 * Makes the finder of a route.
 *
 * The finder is synchronous and throws GatewayError: NOT_FOUND, SCRIPT_IS_DIRECTORY for a directory without
 * an index, SCRIPT_OUTSIDE for a link that leaves the root, FORBIDDEN for a folder that may not be entered.
 */
export function createFileFinder(options: FileFinderOptions): FileFinder {
  const place: Place = {
    root: withoutLastSlash(fromText(options.root)),
    prefix: withoutLastSlash(fromText(options.path)),
    index: options.index.map(fromText),
    split: fromText(options.split ?? ''),
  }
  return rest => find(place, rest)
}

/** A route as byte strings; root and prefix without their last slash. */
interface Place {
  readonly root: ByteString
  readonly prefix: ByteString
  readonly index: readonly ByteString[]
  readonly split: ByteString
}

function find(place: Place, rest: ByteString): FileMatch {
  const { root, prefix } = place
  const end = walk(root, prefix, rest, isShown, file => lookUp(file, root, 'inside'))
  if (end.kind === 'directory') return findIndex(place, end.file, end.scriptName, end.slashed)
  if (end.kind === 'nothing') return frontController(place, rest)
  return toMatch(place, end.file, end.scriptName, end.pathInfo, end.stats)
}

/** The index of a directory, or a redirect to the directory's proper name. */
function findIndex(
  place: Place,
  directory: ByteString,
  scriptName: ByteString,
  slashed: boolean,
): FileMatch {
  for (const name of place.index) {
    const file = `${directory}/${name}`
    const stats = lookUp(file, place.root, 'inside')
    if (stats === undefined || !stats.isFile()) continue
    if (!slashed) return { kind: 'redirect', path: `${encodePath(scriptName)}/` }
    return toMatch(place, file, `${scriptName}/${name}`, '', stats)
  }
  throw new GatewayError('SCRIPT_IS_DIRECTORY')
}

/** Nothing is there: the program's own index script knows what the path means, or that it means nothing. */
function frontController(place: Place, rest: ByteString): FileMatch {
  for (const name of place.index) {
    if (!name.endsWith(place.split)) continue
    const file = `${place.root}/${name}`
    if (lookUp(file, place.root, 'inside')?.isFile() !== true) continue
    return { kind: 'script', file, scriptName: `${place.prefix}/${name}`, pathInfo: rest }
  }
  throw new GatewayError('NOT_FOUND')
}

function toMatch(
  place: Place,
  file: ByteString,
  scriptName: ByteString,
  pathInfo: ByteString,
  stats: Stats,
): FileMatch {
  if (!stats.isFile()) throw new GatewayError('NOT_FOUND', 'It is not a regular file.')
  // GHSA-v4h7-cj44-8fc8: bytes, not letters; case folding has run uploads as scripts.
  if (file.endsWith(place.split)) {
    return { kind: 'script', file, scriptName, pathInfo: pathInfo === '' ? undefined : pathInfo }
  }
  // CVE-2019-11043 and its family: `/upload.jpg/x.php` must not run upload.jpg.
  if (pathInfo !== '') throw new GatewayError('NOT_FOUND', 'Only a script has a path behind it.')
  return { kind: 'file', file: staticFile(place, file) }
}

/**
 * The real path of a file that may be sent.
 * @throws GatewayError NOT_FOUND when its name, or that of the file that it links to, is that of a source or hidden
 */
function staticFile(place: Place, file: ByteString): ByteString {
  const real = realPath(file)
  if (isSource(place, file) || isSource(place, real)) {
    throw new GatewayError('NOT_FOUND', 'The source of a script is never sent.')
  }
  // Without links the walk has seen every name.
  if (real !== file && !hasShownNames(real.slice(realPath(place.root).length))) {
    throw new GatewayError('NOT_FOUND', 'It is a link to a name that is never served.')
  }
  return real
}

/** Whether a name is that of a script but for its case: no program runs it, and its text is a source all the same. */
function isSource(place: Place, file: ByteString): boolean {
  return file.slice(-place.split.length).toLowerCase() === place.split.toLowerCase()
}

function realPath(file: ByteString): ByteString {
  try {
    return realpathSync.native(file === '' ? '/' : toPath(file), 'buffer').toString('latin1')
  } catch (error) {
    // It was there a moment ago.
    throw new GatewayError('NOT_FOUND', '', { cause: error })
  }
}

function hasShownNames(path: ByteString): boolean {
  return path.split('/').every(name => name === '' || isShown(name))
}

const backup = /(?:\.bak|\.swp)$/i

/** A-15, and RFC 8615, as for static files. */
function isShown(name: ByteString): boolean {
  return name === '.well-known' || (isServable(name) && !backup.test(name))
}
