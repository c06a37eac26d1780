/**
 * Notices when files change, so that workers run what is on the disk (`--dev`).
 *
 * One watch per folder, new folders included: Node's own recursive watch misses files that an editor
 * replaces. Changes within a moment are one. What the programs themselves write while they run (logs,
 * data bases, bytecode) is left out by its name. Bounded by `mostFolders`.
 */
import { type FSWatcher, readdirSync, statSync, watch } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Logger } from '../log.js'

export interface FileWatch {
  close(): void
}

const debounceMs = 100
/** inotify watches are a resource of the whole machine. */
const mostFolders = 1_000

/** Hidden files and folders, editors' own files, and what running programs write. */
const ignored =
  /^\.|^(?:node_modules|site-packages|__pycache__)$|~$|^#.*#$|^4913$|\.(?:log|pid|sock|socket|tmp|swp|pyc|db|db-\w+|sqlite3?|sqlite3?-\w+)$/

/** Calls `changed` a moment after a file in `paths`, or below a folder of them, has changed. */
export function watchFiles(paths: readonly string[], log: Logger, changed: () => void): FileWatch {
  const watch = new Watch(log, changed)
  for (const path of paths) watch.add(path)
  return watch
}

class Watch implements FileWatch {
  readonly #log: Logger
  readonly #changed: () => void
  /** Absolute folder → its watch. */
  readonly #folders = new Map<string, FSWatcher>()
  /** Folders that are watched whole; in others only the files named in `#files` count. */
  readonly #whole = new Set<string>()
  readonly #files = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #full = false

  constructor(log: Logger, changed: () => void) {
    this.#log = log
    this.#changed = changed
  }

  add(path: string): void {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) {
      this.#addTree(path)
      return
    }
    // The folder, not the file: an editor that replaces it takes the watch of the old one with it.
    this.#files.add(path)
    this.#watchFolder(dirname(path))
  }

  close(): void {
    clearTimeout(this.#timer)
    for (const watcher of this.#folders.values()) watcher.close()
    this.#folders.clear()
  }

  #addTree(folder: string): void {
    this.#whole.add(folder)
    this.#watchFolder(folder)
    for (const name of foldersIn(folder)) this.#addTree(join(folder, name))
  }

  #watchFolder(folder: string): void {
    if (this.#folders.has(folder)) return
    if (this.#folders.size >= mostFolders) {
      if (!this.#full) this.#log.warn({ folder }, `only ${mostFolders} folders are watched`)
      this.#full = true
      return
    }
    try {
      const watcher = watch(folder, (_event, name) => this.#seen(folder, name ?? ''))
      watcher.on('error', () => this.#drop(folder))
      this.#folders.set(folder, watcher)
    } catch (error) {
      this.#log.warn({ folder, error }, 'a folder cannot be watched')
    }
  }

  #seen(folder: string, name: string): void {
    const path = join(folder, name)
    const counts = this.#files.has(path) || (this.#whole.has(folder) && !ignored.test(name))
    if (!counts) return
    const stats = statSync(path, { throwIfNoEntry: false })
    if (stats === undefined) this.#drop(path)
    else if (stats.isDirectory() && !this.#folders.has(path)) this.#addTree(path)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#log.info({ file: path }, 'a file has changed: the workers are replaced')
      this.#changed()
    }, debounceMs)
  }

  /** A folder that is gone. */
  #drop(folder: string): void {
    this.#folders.get(folder)?.close()
    this.#folders.delete(folder)
    this.#whole.delete(folder)
  }
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter(entry => entry.isDirectory() && !ignored.test(entry.name))
      .map(entry => basename(entry.name))
  } catch {
    return []
  }
}
