/**
 * The CGI servers that are compared, and how each is started: in the foreground, on 127.0.0.1, keep-alive on,
 * every request logged to a file, all of them on the same cgi-bin.
 *
 * One entry per contender. A new one needs a config below `peers/` and an entry here, nothing else.
 */
import { join } from 'node:path'
import { startPostern } from './postern.js'
import {
  behind,
  type Contender,
  freePort,
  isRoot,
  type RunningServer,
  single,
  startOne,
  writeConfig,
} from './server.js'
import { buildGo, type Site } from './site.js'

/** Name of the spawn loop, which is measured beside the servers. */
export const CEILING = 'spawn-loop'

/** fcgiwrap serves one request per process: as many as the marks were taken with. */
const FCGIWRAP_PROCESSES = 8
export const APACHE_MODULES = '/usr/lib/apache2/modules'
/** Apache gives up root for this one; without root it runs as whoever started it. */
export const APACHE_IDENTITY = isRoot ? 'User www-data\nGroup www-data' : ''

export const contenders: readonly Contender[] = [
  { name: 'postern', side: 'own', start: site => startCgiPostern(site, 'postern', []) },
  {
    name: 'postern-2',
    side: 'own',
    start: site => startCgiPostern(site, 'postern-2', ['--processes', '2']),
  },
  { name: 'nginx', side: 'peer', start: startNginx },
  { name: 'lighttpd', side: 'peer', start: startLighttpd },
  { name: 'apache', side: 'peer', start: startApache },
  { name: 'go', side: 'peer', start: startGo },
]

async function startCgiPostern(
  site: Site,
  name: string,
  flags: readonly string[],
): Promise<RunningServer> {
  const port = await freePort()
  const args = [site.root, '-p', String(port), ...flags]
  return startPostern(site, site.serverDirectory(name), port, args)
}

async function startNginx(site: Site): Promise<RunningServer> {
  const directory = site.serverDirectory('nginx')
  const port = await freePort()
  const config = writeConfig(site, directory, 'nginx.conf', {
    PORT: String(port),
    USER: isRoot ? 'root' : 'nobody',
  })
  const processes = String(FCGIWRAP_PROCESSES)
  const wrapArgs = ['-c', processes, '-s', `unix:${directory}/fcgiwrap.sock`]
  const wrap = await startOne(directory, '/usr/sbin/fcgiwrap', wrapArgs, 'fcgiwrap.log')
  const nginxArgs = ['-p', directory, '-e', `${directory}/error.log`, '-c', config]
  return behind([wrap], () => single(directory, port, '/usr/sbin/nginx', nginxArgs))
}

async function startLighttpd(site: Site): Promise<RunningServer> {
  const directory = site.serverDirectory('lighttpd')
  const port = await freePort()
  const config = writeConfig(site, directory, 'lighttpd.conf', { PORT: String(port) })
  return single(directory, port, '/usr/sbin/lighttpd', ['-D', '-f', config])
}

async function startApache(site: Site): Promise<RunningServer> {
  const directory = site.serverDirectory('apache')
  const port = await freePort()
  const config = writeConfig(site, directory, 'apache.conf', {
    PORT: String(port),
    MODULES: APACHE_MODULES,
    IDENTITY: APACHE_IDENTITY,
  })
  return single(directory, port, '/usr/sbin/apache2', ['-DFOREGROUND', '-f', config])
}

async function startGo(site: Site): Promise<RunningServer> {
  buildGo(site)
  const directory = site.serverDirectory('go')
  const port = await freePort()
  const programs = join(site.root, 'cgi-bin')
  const log = join(directory, 'access.log')
  return single(directory, port, join(site.tools, 'go-cgi'), [`127.0.0.1:${port}`, programs, log])
}
