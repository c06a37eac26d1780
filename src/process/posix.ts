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
import { errnoName, type Libc } from './libc.js'
import { PeakMemory } from './peak-memory.js'
import { PolledReader, scratchBytes } from './pipe-reader.js'
import { PolledWriter } from './pipe-writer.js'
import { Poller, readable } from './poller.js'
import { type Child, SpawnError, type Spawner, type SpawnSpec } from './spawner.js'
import { exitOf, usageBytes } from './wait-status.js'

const closeOnExec = 0o2000000
const nonBlocking = 0o4000
const setStatusFlags = 4
const noHang = 1
/** Room for posix_spawn_file_actions_t and posix_spawnattr_t (80 and 336 bytes in glibc). */
const actionsBytes = 128
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
    scratch: Buffer.allocUnsafeSlow(scratchBytes),
    attributes: childAttributes(libc),
    devNull: openSync('/dev/null', 'r'),
    peak: new PeakMemory(),
  }
  return { name: 'posix', spawn: spec => spawn(machine, spec) }
}

interface Machine {
  readonly libc: Libc
  readonly poller: Poller
  readonly scratch: Buffer
  readonly attributes: Buffer
  readonly devNull: number
  readonly peak: PeakMemory
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

function openPipe(libc: Libc, ends: Ends, weRead: boolean, file: ByteString): [number, number] {
  const pair = new Int32Array(2)
  if (libc.pipe2(pair, closeOnExec) !== 0) {
    throw new SpawnError(errnoName(libc.errno()), file)
  }
  const [read = -1, write = -1] = pair
  ends.ours.push(weRead ? read : write)
  ends.childs.push(weRead ? write : read)
  return [read, write]
}

function closeAll(libc: Libc, fds: readonly number[]): void {
  for (const fd of fds) libc.close(fd)
}

async function spawn(machine: Machine, spec: SpawnSpec): Promise<Child> {
  const { libc } = machine
  const ends: Ends = { ours: [], childs: [] }
  try {
    const [, stdoutWrite] = openPipe(libc, ends, true, spec.file)
    const [, stderrWrite] = openPipe(libc, ends, true, spec.file)
    let stdin = typeof spec.stdin === 'number' ? spec.stdin : machine.devNull
    if (spec.stdin === 'pipe') {
      const [read, write] = openPipe(libc, ends, false, spec.file)
      libc.fcntl(write, setStatusFlags, nonBlocking)
      stdin = read
    }
    const pid = await startProcess(machine, spec, [stdin, stdoutWrite, stderrWrite])
    return adopt(machine, pid, ends)
  } catch (error) {
    closeAll(libc, ends.ours)
    throw error
  } finally {
    closeAll(libc, ends.childs)
  }
}

function startProcess(
  { libc, attributes }: Machine,
  spec: SpawnSpec,
  stdio: readonly [number, number, number],
): Promise<number> {
  const actions = Buffer.alloc(actionsBytes)
  libc.actionsInit(actions)
  for (const [to, fd] of stdio.entries()) libc.actionsDup2(actions, fd, to)
  libc.actionsChdir(actions, cString(spec.cwd))
  libc.actionsCloseFrom(actions, 3)
  const pid = new Int32Array(1)
  const file = cString(spec.file)
  const argv = cVector(libc, spec.argv)
  const env = cVector(libc, spec.env)
  return new Promise((resolve, reject) => {
    libc.posixSpawnAsync(pid, file, actions, attributes, argv, env, (error, errno) => {
      libc.actionsDestroy(actions)
      if (error !== null) reject(error)
      else if (errno !== 0) reject(new SpawnError(errnoName(errno), spec.file))
      else resolve(pid[0] ?? 0)
    })
  })
}

function adopt({ libc, poller, scratch, peak }: Machine, pid: number, ends: Ends): Child {
  const [stdout = -1, stderr = -1, stdin] = ends.ours
  let peakKiB: number | undefined
  const samplePeak = (): void => {
    peakKiB = peak.sample(pid) ?? peakKiB
  }
  return {
    pid,
    stdin: stdin === undefined ? undefined : new PolledWriter(libc, poller, stdin),
    stdout: new PolledReader(libc, poller, scratch, stdout, samplePeak),
    stderr: new PolledReader(libc, poller, scratch, stderr),
    exited: reap(libc, poller, pid, waitedKiB => peak.settle(waitedKiB, peakKiB)),
    // After the leader is reaped its number stays taken as long as its group has members; with none
    // left the call fails, and numbers come back only after all others have been used.
    kill: signal => libc.kill(-pid, constants.signals[signal]) === 0,
  }
}

function reap(
  libc: Libc,
  poller: Poller,
  pid: number,
  peakOf: (waitedKiB: number) => number | undefined,
): Promise<ProgramExit> {
  const pidfd = libc.pidfdOpen(pid)
  return new Promise(resolve => {
    const collect = (): boolean => {
      const status = new Int32Array(1)
      const usage = Buffer.alloc(usageBytes)
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
      poller.remove(pidfd)
      libc.close(pidfd)
    })
  })
}

/** Somebody else in this Node reaped our child. */
const unknownExit: ProgramExit = { code: undefined, signal: undefined, usage: undefined }

function cString(bytes: ByteString): Buffer {
  return Buffer.from(`${bytes}\0`, 'latin1')
}

/** A NULL-terminated array of pointers and the strings they point to, in one buffer. */
function cVector(libc: Libc, strings: readonly ByteString[]): Buffer {
  const pointers = 8 * (strings.length + 1)
  const text = strings.length === 0 ? '' : `${strings.join('\0')}\0`
  const vector = Buffer.allocUnsafeSlow(pointers + text.length)
  vector.write(text, pointers, 'latin1')
  let at = libc.address(vector) + BigInt(pointers)
  strings.forEach((string, i) => {
    vector.writeBigUInt64LE(at, 8 * i)
    at += BigInt(string.length + 1)
  })
  vector.writeBigUInt64LE(0n, pointers - 8)
  return vector
}
