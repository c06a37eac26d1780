/**
 * Starts processes by posix_spawn, called through FFI on a pool thread.
 *
 * Against `child_process` it gives real pipes, an environment of exact bytes, resource usage, and the
 * event loop stays free while the system executes. Each child leads a session of its own, inherits no
 * descriptor but 0, 1 and 2, and has default signals. A pidfd in the poller says when it has ended;
 * reaping is `wait4` on that pid alone, so children of anybody else in this Node are left in peace.
 */
import { openSync } from 'node:fs'
import { constants } from 'node:os'
import type { ByteString, ProgramExit } from '../gateway.js'
import { FileActions, type Stdio } from './file-actions.js'
import { closeOnExec, errnoName, type Libc, nonBlocking, setStatusFlags } from './libc.js'
import { PeakMemory } from './peak-memory.js'
import { PolledReader } from './pipe-reader.js'
import { PolledWriter } from './pipe-writer.js'
import { Poller, readable } from './poller.js'
import { ReadBuffers } from './read-buffers.js'
import { type Child, SpawnError, type Spawner, type SpawnSpec } from './spawner.js'
import { StartSlot, StartSlots } from './start-slots.js'
import { exitOf, usageBytes } from './wait-status.js'

const noHang = 1
/** Room for posix_spawnattr_t (336 bytes in glibc). */
const attributesBytes = 512
const signalSetBytes = 128
const spawnSetSignalDefault = 0x04
const spawnSetSignalMask = 0x08
const spawnSetSession = 0x80

/** A spawner on the given library. Holds /dev/null and an epoll descriptor for as long as the process lives. */
export function createPosixSpawner(libc: Libc): Spawner {
  const machine: Machine = {
    libc,
    poller: new Poller(libc),
    buffers: new ReadBuffers(),
    attributes: childAttributes(libc),
    devNull: openSync('/dev/null', 'r'),
    peak: new PeakMemory(),
    slots: new StartSlots(libc),
    actions: new FileActions(libc),
    pair: new Int32Array(2),
    status: new Int32Array(1),
    usage: Buffer.alloc(usageBytes),
  }
  return { name: 'posix', spawn: spec => spawn(machine, spec) }
}

interface Machine {
  readonly libc: Libc
  readonly poller: Poller
  readonly buffers: ReadBuffers
  readonly attributes: Buffer
  readonly devNull: number
  readonly peak: PeakMemory
  readonly slots: StartSlots
  readonly actions: FileActions
  /** For calls that return at once: one at a time. */
  readonly pair: Int32Array
  readonly status: Int32Array
  readonly usage: Buffer
}

/** Own session, empty signal mask, every signal at its default: Node ignores SIGPIPE, a program must not. */
function childAttributes(libc: Libc): Buffer {
  const attributes = Buffer.alloc(attributesBytes)
  libc.attributesInit(attributes)
  libc.attributesSetMask(attributes, Buffer.alloc(signalSetBytes))
  const all = Buffer.alloc(signalSetBytes, 0xff)
  // Signals 32 and 33 belong to the C library.
  all[3] = 0x7f
  all[4] = 0xfe
  libc.attributesSetDefault(attributes, all)
  libc.attributesSetFlags(attributes, spawnSetSession | spawnSetSignalMask | spawnSetSignalDefault)
  return attributes
}

/** The descriptors of one start: ours stay open when it succeeds, the child's are closed either way. */
interface Ends {
  readonly ours: number[]
  readonly childs: number[]
}

/** Opens a pipe and answers the child's end. */
function openPipe({ libc, pair }: Machine, ends: Ends, weRead: boolean, file: ByteString): number {
  if (libc.pipe2(pair, closeOnExec) !== 0) {
    throw new SpawnError(errnoName(libc.errno()), file)
  }
  const [read = -1, write = -1] = pair
  const childs = weRead ? write : read
  ends.ours.push(weRead ? read : write)
  ends.childs.push(childs)
  return childs
}

function closeAll(libc: Libc, fds: readonly number[]): void {
  for (const fd of fds) libc.close(fd)
}

async function spawn(machine: Machine, spec: SpawnSpec): Promise<Child> {
  const { libc } = machine
  const ends: Ends = { ours: [], childs: [] }
  try {
    const stdout = openPipe(machine, ends, true, spec.file)
    const stderr = openPipe(machine, ends, true, spec.file)
    let stdin = typeof spec.stdin === 'number' ? spec.stdin : machine.devNull
    if (spec.stdin === 'pipe') {
      stdin = openPipe(machine, ends, false, spec.file)
      libc.fcntl(ends.ours[2] ?? -1, setStatusFlags, nonBlocking)
    }
    const pid = await startProcess(machine, spec, [stdin, stdout, stderr])
    return adopt(machine, pid, ends)
  } catch (error) {
    closeAll(libc, ends.ours)
    throw error
  } finally {
    closeAll(libc, ends.childs)
  }
}

function startProcess(
  { libc, attributes, actions, slots }: Machine,
  spec: SpawnSpec,
  stdio: Stdio,
): Promise<number> {
  return new Promise((resolve, reject) => {
    slots.take(slot => {
      const { pid } = slot
      const { vectorBytes } = StartSlot
      slot.reserve(vectorBytes([spec.file]) + vectorBytes(spec.argv) + vectorBytes(spec.env) + 16)
      const { list, release } = actions.get(stdio, spec.cwd)
      const file = slot.string(spec.file)
      const argv = slot.vector(spec.argv)
      const env = slot.vector(spec.env)
      const settle = (error: unknown, errno: number): void => {
        release()
        const started = pid[0] ?? 0
        slots.give(slot)
        if (error !== null) reject(error)
        else if (errno !== 0) reject(new SpawnError(errnoName(errno), spec.file))
        else resolve(started)
      }
      try {
        libc.posixSpawnAsync(pid, file, list, attributes, argv, env, settle)
      } catch (error) {
        // Its queue is full of other users' calls: nothing was started.
        settle(error, 0)
      }
    })
  })
}

function adopt(machine: Machine, pid: number, ends: Ends): Child {
  const { libc, poller, buffers, peak } = machine
  const [stdout = -1, stderr = -1, stdin] = ends.ours
  let peakKiB: number | undefined
  const samplePeak = (): void => {
    peakKiB = peak.sample(pid) ?? peakKiB
  }
  return {
    pid,
    stdin: stdin === undefined ? undefined : new PolledWriter(libc, poller, stdin),
    stdout: new PolledReader(libc, poller, buffers, stdout, samplePeak),
    stderr: new PolledReader(libc, poller, buffers, stderr),
    exited: reap(machine, pid, waitedKiB => peak.settle(waitedKiB, peakKiB)),
    // After the leader is reaped its number stays taken as long as its group has members; with none
    // left the call fails, and numbers come back only after all others have been used.
    kill: signal => libc.kill(-pid, signal === 0 ? 0 : constants.signals[signal]) === 0,
  }
}

function reap(
  { libc, poller, status, usage }: Machine,
  pid: number,
  peakOf: (waitedKiB: number) => number | undefined,
): Promise<ProgramExit> {
  const pidfd = libc.pidfdOpen(pid)
  return new Promise(resolve => {
    const collect = (): boolean => {
      const waited = libc.wait4(pid, status, noHang, usage)
      if (waited === 0) return false
      resolve(waited === pid ? exitOf(status[0] ?? 0, usage, peakOf) : unknownExit)
      return true
    }
    if (pidfd < 0) {
      // Out of descriptors: ask from time to time instead.
      const timer = setInterval(() => {
        if (collect()) clearInterval(timer)
      }, 20)
      return
    }
    poller.add(pidfd, readable, () => {
      if (!collect()) return
      poller.close(pidfd)
    })
  })
}

/** Somebody else in this Node reaped our child. */
const unknownExit: ProgramExit = { code: undefined, signal: undefined, usage: undefined }
