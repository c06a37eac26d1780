/**
 * FastCGI programs that the test starts, not the server: with a listening socket on descriptor 0, or with an
 * address of their own. For routes to addresses, and for questions to a program that no gateway has met.
 *
 * Each runs in a process group of its own, which is killed in teardown.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Test } from 'tap'
import { openListenSocket } from '../../src/process/listen-socket.js'
import type { Address } from '../../src/upstream/address.js'
import { groupMembers } from './processes.js'
import { tempRoot } from './temp-root.js'
import { waitFor } from './wait-for.js'

/** Starts a program with a unix socket as its descriptor 0 (FastCGI §2.2). */
export async function startOnSocket(t: Test, command: readonly string[]): Promise<Address> {
  const path = join(tempRoot(t).path, 'program.sock')
  const socket = await openListenSocket({ kind: 'unix', path }, { backlog: 16, mode: 0o600 })
  startProcess(t, command, socket.fd)
  socket.release()
  return socket.address
}

/** Starts a program in its own process group; all of it is killed in teardown. `stdin`: its descriptor 0. */
export function startProcess(
  t: Test,
  [program = '', ...args]: readonly string[],
  stdin: number | 'ignore' = 'ignore',
): ChildProcess {
  const child = spawn(program, args, {
    detached: true,
    env: { PATH: process.env.PATH },
    stdio: [stdin, 'ignore', 'inherit'],
  })
  const { pid } = child
  if (pid === undefined) throw new Error(`${program} did not start`)
  t.teardown(async () => {
    if (groupMembers(pid).length > 0) process.kill(-pid, 'SIGKILL')
    await waitFor(`${program} is gone`, () => groupMembers(pid).length === 0)
  })
  return child
}
