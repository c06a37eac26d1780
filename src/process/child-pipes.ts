/**
 * The three descriptors of a child on the poller: opened before its start, handed to it, and made a `Child`
 * of. Shared by the ways of starting that go through FFI.
 *
 * What lives: three pipes at most per child. Each end of ours is closed by whoever reads or writes it; the
 * child's ends are closed as soon as the child has them.
 */
import { constants } from 'node:os'
import type { ByteString, ProgramExit } from '../gateway.js'
import type { Stdio } from './file-actions.js'
import { closeOnExec, errnoName, type Libc, nonBlocking, setStatusFlags } from './libc.js'
import { PolledReader } from './pipe-reader.js'
import { PolledWriter } from './pipe-writer.js'
import type { Poller } from './poller.js'
import type { ReadBuffers } from './read-buffers.js'
import { type Child, SpawnError, type SpawnSpec } from './spawner.js'

/** What pipes are made with. */
export interface PipeTools {
  readonly libc: Libc
  readonly poller: Poller
  readonly buffers: ReadBuffers
  /** Open for reading. */
  readonly devNull: number
  /** For calls that return at once: one at a time. */
  readonly pair: Int32Array
}

/** The descriptors of one start. */
export interface ChildPipes {
  /** stdout, stderr and perhaps stdin: they stay open when the start succeeds. */
  readonly ours: readonly number[]
  /** What becomes 0, 1 and 2 of the child. */
  readonly stdio: Stdio
  /** Closes the child's ends, which it has by now or will never have. */
  closeChilds(): void
  /** Closes ours: there will be no child. */
  closeOurs(): void
}

/** @throws SpawnError when there are no descriptors left; nothing is open then */
export function openPipes(tools: PipeTools, spec: SpawnSpec): ChildPipes {
  const { libc, devNull } = tools
  const ours: number[] = []
  const childs: number[] = []
  try {
    const stdout = openPipe(tools, ours, childs, true, spec.file)
    const stderr = openPipe(tools, ours, childs, true, spec.file)
    let stdin = typeof spec.stdin === 'number' ? spec.stdin : devNull
    if (spec.stdin === 'pipe') {
      stdin = openPipe(tools, ours, childs, false, spec.file)
      libc.fcntl(ours[2] ?? -1, setStatusFlags, nonBlocking)
    }
    return {
      ours,
      stdio: [stdin, stdout, stderr],
      // Once: the numbers are given out again.
      closeChilds: () => closeAll(libc, childs.splice(0)),
      closeOurs: () => closeAll(libc, ours),
    }
  } catch (error) {
    closeAll(libc, ours)
    closeAll(libc, childs)
    throw error
  }
}

/** Opens a pipe and answers the child's end. */
function openPipe(
  { libc, pair }: PipeTools,
  ours: number[],
  childs: number[],
  weRead: boolean,
  file: ByteString,
): number {
  if (libc.pipe2(pair, closeOnExec) !== 0) throw new SpawnError(errnoName(libc.errno()), file)
  const [read = -1, write = -1] = pair
  const childsEnd = weRead ? write : read
  ours.push(weRead ? read : write)
  childs.push(childsEnd)
  return childsEnd
}

function closeAll(libc: Libc, fds: readonly number[]): void {
  for (const fd of fds) libc.close(fd)
}

/** The child that has the pipes; `beforeData` is called when it is known to have written just now. */
export function childOf(
  { libc, poller, buffers }: PipeTools,
  pid: number,
  ours: readonly number[],
  exited: Promise<ProgramExit>,
  beforeData?: () => void,
): Child {
  const [stdout = -1, stderr = -1, stdin] = ours
  return {
    pid,
    stdin: stdin === undefined ? undefined : new PolledWriter(libc, poller, stdin),
    stdout: new PolledReader(libc, poller, buffers, stdout, beforeData),
    stderr: new PolledReader(libc, poller, buffers, stderr),
    exited,
    // After the leader is reaped its number stays taken as long as its group has members; with none
    // left the call fails, and numbers come back only after all others have been used.
    kill: signal => libc.kill(-pid, signal === 0 ? 0 : constants.signals[signal]) === 0,
  }
}
