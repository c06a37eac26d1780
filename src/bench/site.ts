/**
 * The folder where a benchmark happens: a configuration and the output of each server under test. Made for one run
 * in the system's temporary folder, removed whole at its end.
 */
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A file that a process writes to by its descriptor. */
export interface OutputFile {
  readonly fd: number
  readonly text: () => string
  /** Empties it: an access log of every request of a long run would fill the disk. */
  readonly forget: () => void
  readonly close: () => void
}

export interface Site {
  /** Absolute. */
  readonly directory: string
  /** Writes a file. @returns its absolute path */
  readonly write: (name: string, text: string) => string
  readonly output: (name: string) => OutputFile
  readonly remove: () => void
}

/** Makes the folder; the caller removes it. */
export function makeSite(): Site {
  const directory = mkdtempSync(join(tmpdir(), 'postern-bench-'))
  return {
    directory,
    write: (name, text) => {
      const path = join(directory, name)
      writeFileSync(path, text)
      return path
    },
    output: name => openOutput(join(directory, name)),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}

function openOutput(path: string): OutputFile {
  // To the end always: after it was emptied, the writer's own offset would leave a hole.
  const fd = openSync(path, 'a')
  return {
    fd,
    text: () => readFileSync(path, 'utf8'),
    forget: () => truncateSync(path),
    close: () => closeSync(fd),
  }
}
