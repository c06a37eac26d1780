/**
 * How a process comes to life and ends: one interface for scripts and workers, whichever way the
 * machine starts them. Types only; `choose.ts` says which implementation this machine gets.
 */
import type { ByteString, ProgramExit } from '../gateway.js'
import type { Logger } from '../log.js'

/** What to start. */
export interface SpawnSpec {
  /** Absolute path of the program. */
  readonly file: ByteString
  /** The whole argument vector, argv[0] included. */
  readonly argv: readonly ByteString[]
  /** `NAME=value` entries, the whole environment. */
  readonly env: readonly ByteString[]
  /** Working directory. */
  readonly cwd: ByteString
  /** `none` is /dev/null; a number is a descriptor that the child gets as its descriptor 0 (it stays open here). */
  readonly stdin: 'none' | 'pipe' | number
}

/** The reading end of a pipe. Push style; nothing is read before `start`. */
export interface PipeReader {
  /**
   * Starts reading. `data` gets buffers that are its own to keep; `end` is called once, when the last
   * writer has closed.
   */
  start(data: (chunk: Buffer) => void, end: () => void): void
  pause(): void
  resume(): void
  /** The chunk is not needed any more: its memory may be read into again. Need not be called. */
  recycle(chunk: Buffer): void
  /** Closes this end; nothing is called any more. A writer gets SIGPIPE. */
  close(): void
}

/** The writing end of a pipe. */
export interface PipeWriter {
  /** Takes the chunk whole; false when `drained` should be waited for before the next. */
  write(chunk: Buffer): boolean
  /** Called whenever a `write` that answered false has been taken by the pipe. */
  onDrain(drained: () => void): void
  /** Called once when the reader is gone (EPIPE); later writes are dropped. */
  onGone(gone: () => void): void
  /** Closes this end once everything written has been taken: the reader sees end of file. */
  end(): void
  /** Closes this end at once and drops what waits. */
  close(): void
}

/** A running process, leader of its own session and process group. */
export interface Child {
  readonly pid: number
  /** Present when the spec said `pipe`. */
  readonly stdin: PipeWriter | undefined
  readonly stdout: PipeReader
  readonly stderr: PipeReader
  /** Settles when the process has been reaped; never rejects. */
  readonly exited: Promise<ProgramExit>
  /** Signals the whole group, 0 only asks; answers whether anybody was there. */
  kill(signal: NodeJS.Signals | 0): boolean
}

/** A way of starting processes. */
export interface Spawner {
  /** `posix` or `node`, for the banner. */
  readonly name: string
  /**
   * Starts a process.
   * @throws SpawnError with the system's error code (`ENOENT`, `EACCES`, `ENOEXEC`, `EAGAIN`, `E2BIG`…)
   */
  spawn(spec: SpawnSpec): Promise<Child>
  /** Makes a spawner that forks scripts off warm interpreters; absent where the machine has no way to. */
  warm?(options: WarmOptions): WarmSpawner
}

/** What warm starts need to know. */
export interface WarmOptions {
  readonly log: Logger
  /**
   * Whether a variable may differ from request to request. All others are those of the interpreter itself:
   * scripts whose others differ do not share one.
   */
  readonly isRequestVariable: (name: string) => boolean
  /** How long a fork server may stay silent when it is asked, milliseconds; default 5,000. */
  readonly patienceMs?: number
}

/** A spawner with fork servers of its own. What it cannot fork it starts fresh. */
export interface WarmSpawner extends Spawner {
  /** Ends the fork servers; settles when they are gone. Programs that run are left alone. */
  close(): Promise<void>
  /** KILL to the fork servers at once. */
  kill(): void
}

/** The system refused to start a program. */
export class SpawnError extends Error {
  override readonly name = 'SpawnError'
  /** Symbolic error number, for example `ENOENT`. */
  readonly code: string

  constructor(code: string, file: string) {
    super(`cannot start ${file}: ${code}`)
    this.code = code
  }
}
