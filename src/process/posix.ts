/**
 * Starts processes by posix_spawn, called through FFI on a pool thread.
 *
 * Against `child_process` it gives real pipes, an environment of exact bytes, resource usage, and the
 * event loop stays free while the system executes. Each child leads a session of its own, inherits no
 * descriptor but 0, 1 and 2, and has default signals. A pidfd in the poller says when it has ended;
 * reaping is `wait4` on that pid alone, so children of anybody else in this Node are left in peace.
 */
import { openSync } from 'node:fs'
import type { ProgramExit } from '../gateway.js'
import { childOf, openPipes, type PipeTools } from './child-pipes.js'
import { FileActions, type Stdio } from './file-actions.js'
import { ForkServers } from './fork-servers.js'
import { errnoName, type Libc } from './libc.js'
import { PeakMemory } from './peak-memory.js'
import { Poller, readable } from './poller.js'
import { ReadBuffers } from './read-buffers.js'
import { type Child, SpawnError, type Spawner, type SpawnSpec } from './spawner.js'
import { StartSlot, StartSlots } from './start-slots.js'
import { exitOf, unknownExit, usageBytes } from './wait-status.js'

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
  const fresh: Spawner = {
    name: 'posix',
    spawn: spec => spawn(machine, spec),
    warm: options => new ForkServers(machine, fresh, options),
  }
  return fresh
}

interface Machine extends PipeTools {
  readonly attributes: Buffer
  readonly peak: PeakMemory
  readonly slots: StartSlots
  readonly actions: FileActions
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

async function spawn(machine: Machine, spec: SpawnSpec): Promise<Child> {
  const pipes = openPipes(machine, spec)
  try {
    const pid = await startProcess(machine, spec, pipes.stdio)
    return adopt(machine, pid, pipes.ours)
  } catch (error) {
    pipes.closeOurs()
    throw error
  } finally {
    pipes.closeChilds()
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

function adopt(machine: Machine, pid: number, ours: readonly number[]): Child {
  const { peak } = machine
  let peakKiB: number | undefined
  const samplePeak = (): void => {
    peakKiB = peak.sample(pid) ?? peakKiB
  }
  const exited = reap(machine, pid, waitedKiB => peak.settle(waitedKiB, peakKiB))
  return childOf(machine, pid, ours, exited, samplePeak)
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
      // Else somebody else in this Node has reaped our child.
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
