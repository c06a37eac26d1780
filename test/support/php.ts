/**
 * php-fpm and php-cgi as a test needs them: in a temporary folder, on a unix socket, two workers, and open to
 * every mistake of a web server. PHP itself would run any file and guess at paths: what does not run is what
 * the server has refused.
 */
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Address } from '../../src/upstream/address.js'
import { startProcess } from './fastcgi-process.js'
import { tempRoot } from './temp-root.js'
import { waitFor } from './wait-for.js'

/** Settings of PHP that leave it to the web server what is a script. */
const trusting = ['cgi.fix_pathinfo=1', 'opcache.enable=0']

/** Words behind `php-cgi`. */
export const phpCgiFlags: readonly string[] = trusting.flatMap(setting => ['-d', setting])

/** php-fpm on a socket of its own; `pool` are more lines of its pool. */
export async function startPhpFpm(
  t: Test,
  program: string,
  pool: readonly string[] = [],
): Promise<Address> {
  const folder = tempRoot(t).path
  const socket = join(folder, 'php.sock')
  const isRoot = process.getuid?.() === 0
  const lines = [
    '[global]',
    'daemonize = no',
    `error_log = ${folder}/php-fpm.log`,
    '[test]',
    ...(isRoot ? ['user = root', 'group = root'] : []),
    `listen = ${socket}`,
    'pm = static',
    'pm.max_children = 2',
    'security.limit_extensions =',
    ...pool,
  ]
  const config = join(folder, 'php-fpm.conf')
  writeFileSync(config, `${lines.join('\n')}\n`)
  const settings = trusting.flatMap(setting => ['-d', setting])
  startProcess(t, [program, ...(isRoot ? ['-R'] : []), '-F', '-y', config, ...settings])
  return await listening(socket)
}

/** php-cgi as a FastCGI program of one process that listens for itself. */
export async function startPhpCgi(t: Test, program: string): Promise<Address> {
  const socket = join(tempRoot(t).path, 'php.sock')
  startProcess(t, [program, ...phpCgiFlags, '-b', socket])
  return await listening(socket)
}

async function listening(path: string): Promise<Address> {
  await waitFor(`php listens on ${path}`, () =>
    statSync(path, { throwIfNoEntry: false })?.isSocket(),
  )
  return { kind: 'unix', path }
}
