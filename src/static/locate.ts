/**
 * URL path → open file inside the root, or nothing.
 *
 * Names are refused before the file system is asked (dotfiles, backups, a slash that was encoded), places
 * after it has resolved every symbolic link: outside the root, or inside what is hidden. Nothing per file
 * is remembered (conventions L-10); the real places of root and hidden folders are, for a second.
 */
import { closeSync, constants, fstatSync, open, type Stats } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { fromText } from '../byte-string.js'
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'

/** What may be sent and what may not. */
export interface FileTreeOptions {
  /** Absolute folder. */
  readonly root: string
  /** File names tried in a directory, in this order. */
  readonly index: readonly string[]
  /** Absolute folders of programs, or programs: nothing inside is ever found. */
  readonly hiddenDirectories: readonly string[]
  /** Absolute files that are never found. */
  readonly hiddenFiles: readonly string[]
  /** Files that are programs by their name; default: none. */
  readonly hiddenSources?: readonly HiddenSources[]
}

/** What a route runs: files below `directory` whose names end in `suffix`, in any case (L-12). */
export interface HiddenSources {
  /** Absolute. */
  readonly directory: string
  readonly suffix: string
}

/** A regular file, open for reading; who gets it closes `fd`. */
export interface OpenFile {
  readonly fd: number
  readonly stat: Stats
  /** Its name, for the media type. */
  readonly name: string
}

interface Places {
  readonly root: ByteString
  readonly hidden: readonly ByteString[]
  readonly sources: readonly HiddenSources[]
}

/** How long a deployment that moves a symbolic link may go unnoticed. */
const PLACES_MS = 1000

const openAsync = promisify(open)
// Not blocking: a FIFO in the root must not hold a thread for ever.
const readOnly = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW

/** The files below one root. */
export class FileTree {
  readonly #root: ByteString
  readonly #index: readonly ByteString[]
  readonly #hidden: readonly ByteString[]
  readonly #sources: readonly HiddenSources[]
  #places: Promise<Places> | undefined
  #placesSince = 0

  constructor(options: FileTreeOptions) {
    const { root, index, hiddenDirectories, hiddenFiles, hiddenSources = [] } = options
    this.#root = absolute(root)
    this.#index = index.map(fromText)
    this.#hidden = [...hiddenDirectories, ...hiddenFiles].map(absolute)
    this.#sources = hiddenSources.map(({ directory, suffix }) => ({
      directory: absolute(directory),
      suffix: fromText(suffix).toLowerCase(),
    }))
  }

  /**
   * The file at a decoded, normalised path, or `directory` when there is one and the path has no slash at
   * its end. A path with one means the directory's index file.
   * @throws GatewayError NOT_FOUND, FORBIDDEN; INTERNAL with the system's code
   */
  async find(path: ByteString): Promise<OpenFile | 'directory'> {
    if (hasHiddenName(path)) throw new GatewayError('NOT_FOUND')
    const merged = mergeSlashes(path)
    if (!merged.endsWith('/')) return await this.#open(merged)
    for (const name of this.#index) {
      const file = await this.#open(merged + name).catch(unlessMissing)
      if (file !== undefined && file !== 'directory') return file
    }
    throw new GatewayError('NOT_FOUND', 'The directory has no index file.')
  }

  async #open(path: ByteString): Promise<OpenFile | 'directory'> {
    const asked = prefix(this.#root) + path
    if (isInAny(asked, this.#hidden) || isSource(asked, this.#sources)) {
      throw new GatewayError('NOT_FOUND')
    }
    const real = await realBytes(asked).catch(refuse)
    if (!(await this.#mayBeSent(real, path))) throw new GatewayError('NOT_FOUND')
    return await openFile(real)
  }

  async #mayBeSent(real: ByteString, path: ByteString): Promise<boolean> {
    let places = await this.#realPlaces()
    // The root itself may be a link that has just been moved.
    if (!isIn(real, places.root)) places = await this.#lookUpPlaces()
    const { root, hidden, sources } = places
    if (!isIn(real, root) || hasHiddenName(real.slice(prefix(root).length))) return false
    const asked = prefix(root) + path
    if (isInAny(real, hidden) || isInAny(asked, hidden)) return false
    return !isSource(real, sources) && !isSource(asked, sources)
  }

  #realPlaces(): Promise<Places> {
    const fresh = performance.now() - this.#placesSince < PLACES_MS
    return fresh && this.#places !== undefined ? this.#places : this.#lookUpPlaces()
  }

  #lookUpPlaces(): Promise<Places> {
    this.#placesSince = performance.now()
    this.#places = this.#resolvePlaces()
    return this.#places
  }

  async #resolvePlaces(): Promise<Places> {
    const real = (place: ByteString): Promise<ByteString> => realBytes(place).catch(() => place)
    const [root, hidden, sources] = await Promise.all([
      real(this.#root),
      Promise.all(this.#hidden.map(real)),
      Promise.all(
        this.#sources.map(async ({ directory, suffix }) => ({
          directory: await real(directory),
          suffix,
        })),
      ),
    ])
    return { root, hidden, sources }
  }
}

/**
 * Opens a regular file.
 * @throws GatewayError NOT_FOUND, FORBIDDEN; INTERNAL with the system's code
 */
export async function openFile(real: ByteString): Promise<OpenFile | 'directory'> {
  const fd = await openAsync(Buffer.from(real, 'latin1'), readOnly).catch(refuse)
  // The descriptor is open and nothing was written to it: neither call waits for a disk.
  const stat = fstatSync(fd)
  if (stat.isFile()) return { fd, stat, name: real.slice(real.lastIndexOf('/') + 1) }
  closeSync(fd)
  if (stat.isDirectory()) return 'directory'
  throw new GatewayError('NOT_FOUND', 'Neither a file nor a directory.')
}

/** The path with runs of slashes as one: A-11, for the file system they are the same. */
export function mergeSlashes(path: ByteString): ByteString {
  return path.includes('//') ? path.replace(/\/{2,}/g, '/') : path
}

/** RFC 8615: certificates are fetched from below it. */
const wellKnown = '.well-known/'

/** A segment that begins with a dot, a backup, or a character that no file name has. */
function hasHiddenName(path: ByteString): boolean {
  let start = 0
  for (let at = 0; at <= path.length; at++) {
    const code = at === path.length ? SLASH : path.charCodeAt(at)
    // Above 0xff is the mark of an encoded slash: it is part of no name.
    if (code === 0 || code > 0xff) return true
    if (code !== SLASH) continue
    if (at > start && isHiddenName(path, start, at)) return true
    start = at + 1
  }
  return false
}

const SLASH = 0x2f
const backup = /(?:~|\.bak|\.swp)$/i

function isHiddenName(path: ByteString, start: number, end: number): boolean {
  return (
    (path[start] === '.' && !path.startsWith(wellKnown, start)) ||
    backup.test(path.slice(start, end))
  )
}

function isInAny(path: ByteString, places: readonly ByteString[]): boolean {
  return places.some(place => isIn(path, place))
}

/** No file system that folds case gives away what the route would have run. */
function isSource(path: ByteString, sources: readonly HiddenSources[]): boolean {
  return sources.some(
    ({ directory, suffix }) =>
      isIn(path, directory) && path.slice(-suffix.length).toLowerCase() === suffix,
  )
}

function isIn(path: ByteString, place: ByteString): boolean {
  return path === place || path.startsWith(`${prefix(place)}/`)
}

/** A folder without the slash at its end, which only `/` has. */
function prefix(folder: ByteString): ByteString {
  return folder === '/' ? '' : folder
}

function absolute(path: string): ByteString {
  return fromText(resolve(path))
}

async function realBytes(path: ByteString): Promise<ByteString> {
  return await realpath(Buffer.from(path, 'latin1'), 'latin1')
}

function unlessMissing(error: unknown): undefined {
  if (error instanceof GatewayError && error.code === 'NOT_FOUND') return undefined
  throw error
}

/** What the system's refusal means for the client. */
function refuse(error: unknown): never {
  const { code = 'unknown', syscall = 'open' } = error as NodeJS.ErrnoException
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ENAMETOOLONG':
    case 'ELOOP':
    // Opening a socket.
    case 'ENXIO':
      throw new GatewayError('NOT_FOUND', '', { cause: error })
    case 'EACCES':
    case 'EPERM':
      throw new GatewayError('FORBIDDEN', `${syscall} failed with ${code}.`, { cause: error })
    default:
      throw new GatewayError('INTERNAL', `${syscall} failed with ${code}.`, { cause: error })
  }
}
