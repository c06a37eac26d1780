/**
 * What exec would make of one script: which interpreter its `#!` line names, and whether that is there.
 *
 * Reads the first bytes of the file, as the kernel does; nothing is run. The sentences here are those of
 * conventions C-7, said before the first request instead of after.
 */
import { accessSync, closeSync, constants, openSync, readSync } from 'node:fs'
import { resolve } from 'node:path'
import { toText } from '../byte-string.js'
import type { ScriptFound } from '../cgi/script.js'
import { errorTable } from '../errors.js'
import type { ByteString } from '../gateway.js'
import { findProgram, isProgram } from '../server/search-path.js'

/** How it runs (`#!/bin/sh`, `binary`, `/usr/bin/python3`), or why it cannot. */
export type ProgramVerdict =
  | { readonly runs: string; readonly fault?: never }
  | { readonly runs?: never; readonly fault: ProgramFault }

export interface ProgramFault {
  readonly problem: string
  readonly remedy: string
}

/** Linux reads so much of a file to find the `#!` line (BINPRM_BUF_SIZE). */
const headBytes = 256

/** ELF, and Mach-O in its byte orders and as a universal file. */
const binaryMagic = ['7f454c46', 'feedface', 'feedfacf', 'cefaedfe', 'cffaedfe', 'cafebabe']

/**
 * The verdict on a script that the gateway would start.
 * @param searchPath PATH of the script, for `#!/usr/bin/env name`
 */
export function inspectProgram(script: ScriptFound, searchPath: string): ProgramVerdict {
  const head = readHead(script.file)
  const mapped = script.argv.length > 1
  if (head === undefined) {
    return fault('cannot be read', 'make it readable for the user that Postern runs as')
  }
  if (mapped) return { runs: shown(script.exec) }
  if (!mayExecute(script.file)) {
    return fault('not executable for this user', 'change its mode or its owner')
  }
  if (binaryMagic.includes(head.subarray(0, 4).toString('hex'))) return { runs: 'binary' }
  if (head.length === 0) return fault('empty', 'write the script')
  const text = head.toString('latin1')
  if (!text.startsWith('#!')) return fault('no #! line', errorTable.NO_INTERPRETER_LINE.remedy)
  const [line = ''] = text.slice(2).split('\n')
  return inspectInterpreterLine(line, script.cwd, searchPath)
}

/** @param line what follows `#!`, up to the line feed */
function inspectInterpreterLine(
  line: ByteString,
  cwd: ByteString,
  searchPath: string,
): ProgramVerdict {
  if (line.endsWith('\r')) {
    return fault(
      'the #! line ends in a carriage return',
      'save the file with LF line ends, for example with sed -i "s/\\r$//"',
    )
  }
  const [interpreter = '', ...words] = line.split(/[ \t]+/).filter(word => word !== '')
  if (interpreter === '')
    return fault('the #! line names no interpreter', 'write for example #!/bin/sh')
  const file = resolve(shown(cwd), shown(interpreter))
  if (!isProgram(file)) {
    return fault(
      `the interpreter ${shown(interpreter)} was not found`,
      'install it, or correct the #! line',
    )
  }
  const named = /(?:^|\/)env$/.test(interpreter) ? programOfEnv(words) : undefined
  if (named !== undefined && !isFound(named, cwd, searchPath)) {
    return fault(`${shown(named)} was not found on PATH`, 'install it, or correct the #! line')
  }
  return { runs: `#!${[interpreter, ...words].map(shown).join(' ')}` }
}

/** The program in the words after `env`: behind its options and settings. */
function programOfEnv(words: readonly ByteString[]): ByteString | undefined {
  return words.find(word => !word.startsWith('-') && !word.includes('='))
}

function isFound(name: ByteString, cwd: ByteString, searchPath: string): boolean {
  if (name.includes('/')) return isProgram(resolve(shown(cwd), shown(name)))
  return findProgram(shown(name), searchPath) !== undefined
}

/** The first bytes of a file, or undefined when it may not be read. */
function readHead(file: ByteString): Buffer | undefined {
  let fd: number
  try {
    fd = openSync(Buffer.from(file, 'latin1'), 'r')
  } catch {
    return undefined
  }
  try {
    const head = Buffer.alloc(headBytes)
    return head.subarray(0, readSync(fd, head, 0, headBytes, 0))
  } catch {
    return undefined
  } finally {
    closeSync(fd)
  }
}

function mayExecute(file: ByteString): boolean {
  try {
    accessSync(Buffer.from(file, 'latin1'), constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Bytes as people read them. */
function shown(bytes: ByteString): string {
  return toText(bytes) ?? bytes
}

/** The verdict with its two halves; the remedy becomes the end of a line, whatever it was before. */
export function fault(problem: string, remedy: string): ProgramVerdict {
  const ending = remedy.charAt(0).toLowerCase() + remedy.slice(1).replace(/\.$/, '')
  return { fault: { problem, remedy: ending } }
}
