/**
 * The FastCGI workers that stand behind a peer which starts none itself, the same for all: two of
 * `programs/worker.c` on `app.sock`, two of php-fpm on `php.sock`, both in the server's directory.
 *
 * Every server has workers of its own, so that their CPU time and memory are its own too.
 */
import { existsSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type ForegroundChild, until } from './child.js'
import { isRoot, startOne, stopAll, writeConfig } from './server.js'
import type { Site } from './site.js'

export const WORKERS = 2
export const PHP_FPM = '/usr/sbin/php-fpm8.2'

/** Without root php-fpm warns of these two lines and does without. */
const IDENTITY = isRoot ? 'user = www-data\ngroup = www-data' : ''

/** Both kinds of workers, listening. */
export async function startWorkers(site: Site, directory: string): Promise<ForegroundChild[]> {
  const socket = join(directory, 'app.sock')
  // The one of workers that were stopped; php-fpm removes its own.
  rmSync(socket, { force: true })
  const program = join(site.root, 'worker.fcgi')
  const prefork = join(site.tools, 'prefork')
  const args = [socket, String(WORKERS), program]
  const app = await startOne(directory, prefork, args, 'worker.log')
  const php = await startPhpFpm(site, directory).catch(async error => {
    await app.stop()
    throw error
  })
  const started = [app, php]
  try {
    await untilListening(socket, app)
  } catch (error) {
    await stopAll(started)
    throw error
  }
  return started
}

/** php-fpm alone, listening: for servers that start the other workers themselves. */
export async function startPhpFpm(site: Site, directory: string): Promise<ForegroundChild> {
  const config = writeConfig(site, directory, 'php-fpm.conf', {
    IDENTITY,
    WORKERS: String(WORKERS),
  })
  const php = await startOne(directory, PHP_FPM, ['-F', '-y', config], 'php-fpm-output.log')
  try {
    await untilListening(join(directory, 'php.sock'), php)
  } catch (error) {
    await php.stop()
    throw error
  }
  return php
}

/** A socket may be connected to before `listen`, but is refused; its mode is set last, or just before. */
async function untilListening(socket: string, { ended }: ForegroundChild): Promise<void> {
  await until(
    () => {
      const end = ended()
      if (end !== undefined) throw new Error(end)
      return existsSync(socket) && (statSync(socket).mode & 0o777) === 0o666
    },
    () => `nobody listens on ${socket}`,
  )
}
