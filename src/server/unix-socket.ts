/**
 * Unix sockets that a server left behind: removed before a new one listens, if nobody answers there.
 */
import { lstatSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'

/**
 * Removes a socket file that no process listens on; anything else at the path is left alone, and listening
 * there then fails with EADDRINUSE.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (!stats?.isSocket()) return
  const answered = await new Promise<boolean>(resolve => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    // Any other error comes from somebody: EAGAIN of a full backlog, for example.
    probe.once('error', error => resolve(!('code' in error) || error.code !== 'ECONNREFUSED'))
  })
  if (!answered) unlinkSync(path)
}
