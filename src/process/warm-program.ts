/**
 * Which scripts can be forked from a warm interpreter: by their `#!` line, or the interpreter that the route maps
 * to their suffix. Words between interpreter and script are honoured by giving them to the fork server; those
 * that mean something else there leave the script fresh.
 *
 * What grows: what is known of a script, by its path, until it changes; all of it is forgotten at `mostScripts`.
 */
import { accessSync, closeSync, constants, openSync, readSync, type Stats, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { fromText } from '../byte-string.js'
import type { ByteString } from '../gateway.js'
import type { SpawnSpec } from './spawner.js'

/** A script, and how its fork server is started. */
export interface WarmProgram {
  /** Absolute. */
  readonly script: ByteString
  /** What to execute: the interpreter, or env. */
  readonly file: ByteString
  /** Its arguments up to where the script would follow. */
  readonly argv: readonly ByteString[]
  /** The program of the fork server, which stands where the script would. */
  readonly server: ByteString
  /** Name that is looked up on PATH, with `#!/usr/bin/env name`. */
  readonly named: ByteString | undefined
}

/** Nothing for what no fork server is written for; a reason for what one is and yet cannot run. */
export type Verdict = WarmProgram | { readonly refused: string } | undefined

interface Family {
  readonly name: RegExp
  /** The one word that may stand behind the interpreter. */
  readonly flags: RegExp
  readonly server: ByteString
}

const fileBeside = (name: string): ByteString =>
  fromText(fileURLToPath(new URL(name, import.meta.url)))

const families: readonly Family[] = [
  {
    name: /^python(3(\.\d+)?)?$/,
    flags: /^-[BEIOPSbdqsu]+$/,
    server: fileBeside('./fork-server.py'),
  },
  { name: /^perl(5[.\d]*)?$/, flags: /^-w$/, server: fileBeside('./fork-server.pl') },
]

/** Linux reads so much of a file to find the `#!` line (BINPRM_BUF_SIZE). */
const headBytes = 256
const mostScripts = 1_000

interface Known {
  /** What was to be executed. */
  readonly file: ByteString
  readonly stats: Stats
  verdict: Verdict
}

export class WarmPrograms {
  readonly #known = new Map<ByteString, Known>()

  /** The verdict on what a spec would start; looked at again when the file has changed. */
  of({ file, argv }: Pick<SpawnSpec, 'file' | 'argv'>): Verdict {
    const script = argv[1] ?? file
    if (argv[0] !== file) return undefined
    const stats = statOf(script)
    if (stats === undefined) return undefined
    const known = this.#known.get(script)
    if (known?.file === file && isSame(known.stats, stats)) return known.verdict
    const verdict = script === file ? verdictOnFile(file) : verdictOn(script, [file])
    if (this.#known.size >= mostScripts) this.#known.clear()
    this.#known.set(script, { file, stats, verdict })
    return verdict
  }

  /** The script is not asked about again until it changes. */
  refuse(script: ByteString, reason: string): void {
    const known = this.#known.get(script)
    if (known !== undefined) known.verdict = { refused: reason }
  }

  /** A refusal is told once. */
  told(script: ByteString): void {
    const known = this.#known.get(script)
    if (known !== undefined) known.verdict = undefined
  }
}

function statOf(file: ByteString): Stats | undefined {
  return statSync(Buffer.from(file, 'latin1'), { throwIfNoEntry: false })
}

function isSame(a: Stats, b: Stats): boolean {
  return a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs && a.size === b.size && a.ino === b.ino
}

/** A script that the kernel would start by its `#!` line; what it would refuse is left to it. */
function verdictOnFile(file: ByteString): Verdict {
  const head = readHead(file)
  const line = /^#![ \t]*([^\n\0]*?)[ \t]*\n/.exec(head)?.[1]
  if (line === undefined) return undefined
  // The kernel makes one word of everything behind the interpreter.
  const [, interpreter = '', rest = ''] = /^([^ \t]+)(?:[ \t]+(.*))?$/.exec(line) ?? []
  return verdictOn(file, rest === '' ? [interpreter] : [interpreter, rest])
}

function verdictOn(script: ByteString, words: readonly ByteString[]): Verdict {
  const [file = '', flags] = words
  if (!script.startsWith('/') || !file.startsWith('/')) return undefined
  if (baseName(file) === 'env') return verdictOnEnv(script, file, flags ?? '')
  return programOf({ script, file, argv: words, named: undefined }, baseName(file), flags)
}

/** `env name`, and `env -S name -flags`. */
function verdictOnEnv(script: ByteString, file: ByteString, rest: ByteString): Verdict {
  const split = /^-S[ \t]*([^-=\s'"\\$#]+)(?:[ \t]+(-\w+))?$/.exec(rest)
  const [named = '', flags] = split === null ? [rest] : split.slice(1)
  if (named.includes('/') || named.includes('=')) return undefined
  const argv = flags === undefined ? [file, named] : [file, named, flags]
  return programOf({ script, file, argv, named }, named, flags)
}

function programOf(
  program: Omit<WarmProgram, 'server'>,
  name: ByteString,
  flags: ByteString | undefined,
): Verdict {
  const family = families.find(({ name: pattern }) => pattern.test(name))
  if (family === undefined) return undefined
  if (flags !== undefined && !family.flags.test(flags)) {
    return { refused: `${flags} in its #! line` }
  }
  return { ...program, server: family.server }
}

function baseName(file: ByteString): ByteString {
  return file.slice(file.lastIndexOf('/') + 1)
}

/** The first bytes of a file that may be executed, or nothing. */
function readHead(file: ByteString): ByteString {
  const path = Buffer.from(file, 'latin1')
  let fd: number | undefined
  try {
    accessSync(path, constants.X_OK)
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const head = Buffer.alloc(headBytes)
    return head.toString('latin1', 0, readSync(fd, head, 0, headBytes, 0))
  } catch {
    return ''
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/**
 * Whether a name on PATH is found as a script, which may choose an interpreter by the folder it is started in
 * (pyenv, asdf).
 */
export function isWrapped(name: ByteString, searchPath: ByteString): boolean {
  for (const folder of searchPath.split(':')) {
    const head = readHead(`${folder}/${name}`)
    if (head !== '') return head.startsWith('#!')
  }
  return false
}
