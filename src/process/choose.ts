/**
 * Which spawner this machine gets, and why; the banner shows both.
 *
 * `POSTERN_SPAWN=node` or `posix` in the given environment forces one. The choice is made once, at start.
 */
import { loadLibc } from './libc.js'
import { createNodeSpawner } from './node.js'
import { createPosixSpawner } from './posix.js'
import type { Spawner } from './spawner.js'

/** A spawner and a few words on why it is the one. */
export interface Choice {
  readonly spawner: Spawner
  readonly reason: string
}

/** @throws Error when POSTERN_SPAWN names something else, or `posix` where it cannot be had. */
export async function chooseSpawner(env: NodeJS.ProcessEnv): Promise<Choice> {
  const forced = env.POSTERN_SPAWN
  if (forced === 'node') return { spawner: createNodeSpawner(), reason: 'POSTERN_SPAWN=node' }
  if (forced !== undefined && forced !== '' && forced !== 'posix') {
    throw new Error(`POSTERN_SPAWN is "${forced}"; set it to posix or node, or leave it out`)
  }
  try {
    const libc = await loadLibc()
    const pidfd = libc.pidfdOpen(process.pid)
    if (pidfd < 0) throw new Error('this kernel has no pidfd_open')
    libc.close(pidfd)
    return { spawner: createPosixSpawner(libc), reason: 'posix_spawn through koffi' }
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
    if (forced === 'posix') throw new Error(`POSTERN_SPAWN=posix: ${reason}`, { cause: error })
    return { spawner: createNodeSpawner(), reason: `no posix_spawn: ${reason}` }
  }
}
