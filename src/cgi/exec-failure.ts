/**
 * Why a program did not start, in words that name the thing to repair (C-7, C-9).
 *
 * The system answers with one error number for many causes: ENOENT is a missing script, a missing
 * interpreter, a carriage return behind its name, a missing loader or a missing working directory. This
 * looks at the files again, after the failure, and only then; it reads a few hundred bytes of each.
 */
import { accessSync, closeSync, constants, openSync, readSync, type Stats, statSync } from 'node:fs'
import { toText } from '../byte-string.js'
import { type ErrorCode, GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'

/** What else the start depended on. */
export interface ExecSurroundings {
  /** Working directory. */
  readonly cwd?: ByteString
  /** The script, where `file` is the interpreter mapped to its suffix. */
  readonly script?: ByteString
}

/**
 * Explains a failed start of `file` (what was executed) by the symbolic error number of the system.
 * Never throws: SCRIPT_NOT_FOUND, INTERPRETER_NOT_FOUND, NO_INTERPRETER_LINE, EXEC_DENIED,
 * SPAWN_EXHAUSTED, ENVIRONMENT_TOO_LARGE, else SPAWN_FAILED.
 */
export function explainExecFailure(
  file: ByteString,
  systemCode: string,
  { cwd, script = file }: ExecSurroundings = {},
): GatewayError {
  switch (systemCode) {
    case 'ENOENT':
    case 'ENOTDIR':
      return cwdFailure(cwd, systemCode) ?? missing(file, script, systemCode)
    case 'EACCES':
    case 'EPERM':
      return cwdFailure(cwd, systemCode) ?? denied(file, systemCode)
    case 'ENOEXEC':
      return noFormat(file)
    case 'EAGAIN':
    case 'ENOMEM':
    case 'EMFILE':
    case 'ENFILE':
      return failure('SPAWN_EXHAUSTED', exhausted[systemCode], systemCode)
    case 'E2BIG':
      return failure('ENVIRONMENT_TOO_LARGE', 'Environment and arguments together', systemCode)
    case 'ELOOP':
      return failure(
        'SPAWN_FAILED',
        `The symbolic links at ${show(file)} go in a circle`,
        systemCode,
      )
    case 'ETXTBSY':
      return failure('SPAWN_FAILED', `${show(file)} is being written`, systemCode)
    default:
      return failure('SPAWN_FAILED', show(file), systemCode)
  }
}

const exhausted = {
  EAGAIN: 'The limit of processes is reached',
  ENOMEM: 'There is no memory left',
  EMFILE: 'The server has too many files open',
  ENFILE: 'The system has too many files open',
} as const

function failure(code: ErrorCode, what: string, systemCode: string): GatewayError {
  return new GatewayError(code, `${what} (${systemCode}).`)
}

/** Quoted, with control characters made visible. */
function show(file: ByteString): string {
  return JSON.stringify(toText(file) ?? file)
}

function cwdFailure(cwd: ByteString | undefined, systemCode: string): GatewayError | undefined {
  if (cwd === undefined) return undefined
  const name = `The working directory ${show(cwd)}`
  const stats = statOf(cwd)
  if (stats === undefined) return failure('SPAWN_FAILED', `${name} does not exist`, systemCode)
  if (!stats.isDirectory()) return failure('SPAWN_FAILED', `${name} is no directory`, systemCode)
  return isEnterable(cwd)
    ? undefined
    : failure('SPAWN_FAILED', `${name} may not be entered`, systemCode)
}

/** ENOENT: the file itself, or something that the kernel looked for on its behalf. */
function missing(file: ByteString, script: ByteString, systemCode: string): GatewayError {
  if (statOf(file) !== undefined) {
    const cause = missingInterpreter(file)
    return (
      cause ?? failure('SPAWN_FAILED', `${show(file)} needs a file that is missing`, systemCode)
    )
  }
  if (file === script) return failure('SCRIPT_NOT_FOUND', `${show(file)} is gone`, systemCode)
  const mapped = `${show(file)}, which the route maps to ${show(script)}, does not exist`
  return failure('INTERPRETER_NOT_FOUND', mapped, systemCode)
}

/** Linux follows a script whose interpreter is a script, and so on, this far. */
const maxInterpreters = 5

function missingInterpreter(file: ByteString): GatewayError | undefined {
  let asked = file
  for (let depth = 0; depth < maxInterpreters; depth++) {
    const head = readHead(asked)
    const interpreter = interpreterOf(head)
    if (interpreter === undefined) return missingLoader(asked, head)
    if (statOf(interpreter) === undefined) return interpreterNotFound(asked, interpreter)
    asked = interpreter
  }
  return undefined
}

function interpreterNotFound(file: ByteString, interpreter: ByteString): GatewayError {
  const detail = `${show(file)} asks for ${show(interpreter)}, which does not exist.`
  if (interpreter.endsWith('\r')) {
    const advice = 'The line ends in a carriage return (\\r): save the script with Unix line ends.'
    return new GatewayError('INTERPRETER_NOT_FOUND', `${detail} ${advice}`)
  }
  if (interpreter.startsWith('/')) return new GatewayError('INTERPRETER_NOT_FOUND', detail)
  return new GatewayError('INTERPRETER_NOT_FOUND', `${detail} Write an absolute path.`)
}

/** The interpreter of a `#!` line; the carriage return of a foreign line end belongs to it, as for the kernel. */
function interpreterOf(head: Buffer): ByteString | undefined {
  return /^#![ \t]*([^ \t\n\0]+)/.exec(head.toString('latin1'))?.[1]
}

/** The dynamic loader that an ELF program names (PT_INTERP), if it does not exist. */
function missingLoader(file: ByteString, head: Buffer): GatewayError | undefined {
  const loader = loaderOf(head)
  if (loader === undefined || statOf(loader) !== undefined) return undefined
  const detail = `${show(file)} was built for the loader ${show(loader)}, which does not exist.`
  return new GatewayError('INTERPRETER_NOT_FOUND', detail)
}

/** Little-endian ELF, 32 and 64 bits; program headers and name are within the first page in practice. */
function loaderOf(head: Buffer): ByteString | undefined {
  if (head.length < 64 || head.toString('latin1', 0, 4) !== '\x7fELF' || head[5] !== 1) {
    return undefined
  }
  const wide = head[4] === 2
  const table = wide ? Number(head.readBigUInt64LE(0x20)) : head.readUInt32LE(0x1c)
  const size = head.readUInt16LE(wide ? 0x36 : 0x2a)
  const count = head.readUInt16LE(wide ? 0x38 : 0x2c)
  for (let i = 0; i < count; i++) {
    const at = table + i * size
    if (at + size > head.length || size < 32) return undefined
    if (head.readUInt32LE(at) !== interpreterSegment) continue
    const from = wide ? Number(head.readBigUInt64LE(at + 8)) : head.readUInt32LE(at + 4)
    const end = head.indexOf(0, from)
    return end > from ? head.toString('latin1', from, end) : undefined
  }
  return undefined
}

const interpreterSegment = 3

/** EACCES: the first thing on the way that refuses, as far as it can be seen. */
function denied(file: ByteString, systemCode: string): GatewayError {
  const deny = (what: string) => failure('EXEC_DENIED', what, systemCode)
  const closed = closedFolder(file)
  if (closed !== undefined) return deny(`The folder ${show(closed)} may not be entered`)
  const own = refusal(file)
  if (own !== undefined) return deny(own)
  const interpreter = interpreterOf(readHead(file))
  const its = interpreter === undefined ? undefined : refusal(interpreter)
  if (its !== undefined) return deny(`The interpreter in the #! line refuses: ${its}`)
  return deny(`${show(file)}: perhaps its file system is mounted noexec`)
}

function refusal(file: ByteString): string | undefined {
  const stats = statOf(file)
  if (stats === undefined) return undefined
  if (stats.isDirectory()) return `${show(file)} is a directory`
  if (!stats.isFile()) return `${show(file)} is not a regular file`
  if (isEnterable(file)) return undefined
  return `${show(file)} has mode ${(stats.mode & 0o7777).toString(8).padStart(4, '0')}`
}

function closedFolder(file: ByteString): ByteString | undefined {
  for (let end = file.indexOf('/', 1); end !== -1; end = file.indexOf('/', end + 1)) {
    const folder = file.slice(0, end)
    if (!isEnterable(folder)) return folder
  }
  return undefined
}

function noFormat(file: ByteString): GatewayError {
  if (statOf(file)?.size === 0)
    return failure('NO_INTERPRETER_LINE', `${show(file)} is empty`, 'ENOEXEC')
  const head = readHead(file)
  if (head.toString('latin1', 0, 5) === '\xef\xbb\xbf#!') {
    const mark = `${show(file)} has a byte order mark before its #!`
    return failure('NO_INTERPRETER_LINE', mark, 'ENOEXEC')
  }
  const foreign = head.toString('latin1', 1, 4) === 'ELF'
  const what = foreign ? ' was built for another kind of machine' : ''
  return failure('NO_INTERPRETER_LINE', `${show(file)}${what}`, 'ENOEXEC')
}

function toPath(file: ByteString): Buffer {
  return Buffer.from(file, 'latin1')
}

function statOf(file: ByteString): Stats | undefined {
  try {
    return statSync(toPath(file))
  } catch {
    return undefined
  }
}

/** A folder that may be entered, a file that may be executed. */
function isEnterable(file: ByteString): boolean {
  try {
    accessSync(toPath(file), constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The first page of a file, or nothing where it cannot be read. */
function readHead(file: ByteString): Buffer {
  const page = Buffer.alloc(4096)
  let fd: number | undefined
  try {
    fd = openSync(toPath(file), constants.O_RDONLY | constants.O_NONBLOCK)
    return page.subarray(0, readSync(fd, page))
  } catch {
    return page.subarray(0, 0)
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}
