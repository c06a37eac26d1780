/**
 * A folder of its own for each test: scripts in `cgi-bin`, files in `public`, and `notes` where scripts
 * write what the test wants to know of them (a pid, for one). Removed in teardown.
 */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import { waitFor } from './wait-for.js'

/** A file to write: its text (0755 among scripts, 0644 among files), or its bytes and mode. */
export type FileSpec = string | { readonly content: string | Buffer; readonly mode: number }

/** Name below the folder → file. */
export type FileTable = Readonly<Record<string, FileSpec>>

/** Absolute paths of the folders of one test. */
export interface TempRoot {
  readonly path: string
  readonly cgi: string
  readonly public: string
  readonly notes: string
  /** Writes one more script into `cgi`. */
  script(name: string, spec: FileSpec): void
  /** Makes an empty note, for a script that waits for it. */
  leave(name: string): void
  /** Waits until a script has written the note (a whole line), and gives the line without its end. */
  note(name: string, deadlineMs?: number): Promise<string>
}

/** Makes the folders and files of one test. */
export function tempRoot(t: Test, scripts: FileTable = {}, files: FileTable = {}): TempRoot {
  // The real path: a system whose temporary folder is itself a symbolic link must not confuse the tests of links.
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'postern-test-')))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))

  const root = { cgi: join(path, 'cgi-bin'), public: join(path, 'public') }
  const notes = join(path, 'notes')
  for (const folder of [root.cgi, root.public, notes]) mkdirSync(folder)
  const script = (name: string, spec: FileSpec): void => write(join(root.cgi, name), spec, 0o755)
  for (const [name, spec] of Object.entries(scripts)) script(name, spec)
  for (const [name, spec] of Object.entries(files)) write(join(root.public, name), spec, 0o644)

  const note = (name: string, deadlineMs?: number): Promise<string> =>
    waitFor(`note ${name} is written`, () => readNote(join(notes, name)), deadlineMs)
  const leave = (name: string): void => writeFileSync(join(notes, name), '')
  return { path, ...root, notes, script, leave, note }
}

function write(path: string, spec: FileSpec, defaultMode: number): void {
  const { content, mode } = typeof spec === 'string' ? { content: spec, mode: defaultMode } : spec
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content, { mode })
}

/** A note counts once its line is complete. */
function readNote(path: string): string | undefined {
  try {
    const text = readFileSync(path, 'latin1')
    return text.endsWith('\n') ? text.slice(0, -1) : undefined
  } catch {
    return undefined
  }
}
