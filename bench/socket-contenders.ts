/**
 * The servers that are compared in front of uWSGI, over uwsgi and over SCGI: two workers of uWSGI for each protocol
 * behind every one, in the foreground, with keep-alive towards clients and a log of every request.
 *
 * Apache wants a CGI head over SCGI, so uWSGI gives one to all (`cgi-mode`). lighttpd takes no answer of uWSGI over
 * uwsgi and is left out. uWSGI is the server's own, so that its CPU time and memory are the server's too.
 */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type ForegroundChild, until } from './child.js'
import { APACHE_IDENTITY, APACHE_MODULES } from './contenders.js'
import { startPostern } from './postern.js'
import {
  behind,
  type Contender,
  freePort,
  isRoot,
  type RunningServer,
  single,
  startOne,
  stopAll,
  writeConfig,
} from './server.js'
import type { Site } from './site.js'

const USER = isRoot ? 'root' : 'nobody'
const UWSGI = '/usr/bin/uwsgi_python3'
const WORKERS = 2

export const socketContenders: readonly Contender[] = [
  { name: 'postern', side: 'own', start: site => startSocketPostern(site, 'postern', 1) },
  { name: 'postern-2', side: 'own', start: site => startSocketPostern(site, 'postern-2', 2) },
  {
    name: 'nginx',
    side: 'peer',
    start: site => startPeer(site, 'nginx', '/usr/sbin/nginx', nginxArguments),
  },
  {
    name: 'apache',
    side: 'peer',
    start: site =>
      startPeer(site, 'apache', '/usr/sbin/apache2', (_, config) => ['-DFOREGROUND', '-f', config]),
  },
]

const nginxArguments = (directory: string, config: string): string[] => [
  ...['-p', directory, '-e', `${directory}/error.log`, '-c', config],
]

async function startSocketPostern(
  site: Site,
  name: string,
  processes: number,
): Promise<RunningServer> {
  const directory = site.serverDirectory(name)
  const port = await freePort()
  const config = writeConfig(site, directory, 'postern-sockets.yaml', {
    PORT: String(port),
    PROCESSES: String(processes),
  })
  return behind(await startUwsgi(site, directory), () =>
    startPostern(site, directory, port, ['-c', config]),
  )
}

async function startPeer(
  site: Site,
  name: string,
  executable: string,
  argumentsOf: (directory: string, config: string) => string[],
): Promise<RunningServer> {
  const directory = site.serverDirectory(name)
  const port = await freePort()
  const config = writeConfig(site, directory, `${name}-sockets.conf`, {
    PORT: String(port),
    USER,
    MODULES: APACHE_MODULES,
    IDENTITY: APACHE_IDENTITY,
  })
  return behind(await startUwsgi(site, directory), () =>
    single(directory, port, executable, argumentsOf(directory, config)),
  )
}

/** One uWSGI for each protocol. */
async function startUwsgi(site: Site, directory: string): Promise<ForegroundChild[]> {
  const started: ForegroundChild[] = []
  try {
    for (const [options, name] of [
      [['--socket'], 'uwsgi'],
      [['--cgi-mode', '--scgi-socket'], 'scgi'],
    ] as const) {
      const socket = join(directory, `${name}.sock`)
      rmSync(socket, { force: true })
      const program = ['--wsgi-file', join(site.root, 'wsgi_hello.py')]
      const standard = ['--master', '--processes', String(WORKERS), '--need-app', '--die-on-term']
      const quiet = ['--disable-logging', '--chmod-socket=666']
      const args = [...standard, ...quiet, ...program, ...options, socket]
      const child = await startOne(directory, UWSGI, args, `${name}.log`)
      started.push(child)
      await until(
        () => {
          const end = child.ended()
          if (end !== undefined) throw new Error(end)
          return existsSync(socket)
        },
        () => `nobody listens on ${socket}`,
      )
    }
    return started
  } catch (error) {
    await stopAll(started)
    throw error
  }
}
