/**
 * The FastCGI servers that are compared: the same worker program, two of it, and two php-fpm workers behind each;
 * otherwise as the CGI ones, in the foreground, with keep-alive towards clients and a log of every request.
 *
 * Postern and lighttpd start the workers of /app/ themselves; for the others `prefork` does.
 */
import { APACHE_IDENTITY, APACHE_MODULES } from './contenders.js'
import { startPhpFpm, startWorkers, WORKERS } from './fastcgi-workers.js'
import { startPostern } from './postern.js'
import {
  behind,
  type Contender,
  freePort,
  isRoot,
  type RunningServer,
  single,
  writeConfig,
} from './server.js'
import type { Site } from './site.js'

const USER = isRoot ? 'root' : 'nobody'
const EXECUTABLES = {
  nginx: '/usr/sbin/nginx',
  lighttpd: '/usr/sbin/lighttpd',
  apache: '/usr/sbin/apache2',
  h2o: '/usr/bin/h2o',
  caddy: '/usr/bin/caddy',
} as const

/**
 * One connection kept by each of the two nginx processes: as many as there are workers. A kept connection holds
 * its worker, so more requests or a longer time per connection let the other clients wait longer. Tried with two
 * per process and its defaults (1000 requests, 60 s), 14 of 16 clients had no answer at all; this is the fastest
 * of what serves everyone at 16.
 */
const NGINX_KEPT = 'keepalive 1; keepalive_timeout 10ms; keepalive_requests 100;'

export interface PosternVariant {
  readonly processes?: number
  readonly workers?: number
  /** Routes before the one that is asked for, to addresses that nobody connects to. */
  readonly idleRoutes?: number
}

export const fastcgiContenders: readonly Contender[] = [
  { name: 'postern', side: 'own', start: site => startFastcgiPostern(site, 'postern') },
  {
    name: 'postern-2',
    side: 'own',
    start: site => startFastcgiPostern(site, 'postern-2', { processes: 2 }),
  },
  {
    name: 'nginx',
    side: 'peer',
    start: site => startNginx(site, 'nginx', { KEPT: '', KEEPCONN: 'off' }),
  },
  {
    name: 'nginx-keepalive',
    side: 'peer',
    start: site => startNginx(site, 'nginx-keepalive', { KEPT: NGINX_KEPT, KEEPCONN: 'on' }),
  },
  { name: 'lighttpd', side: 'peer', start: startLighttpd },
  { name: 'h2o', side: 'peer', start: startH2o },
  { name: 'apache', side: 'peer', start: startApache },
  { name: 'caddy', side: 'peer', start: startCaddy },
]

/** Postern with php-fpm behind it, and the workers of /app/ below it. */
export async function startFastcgiPostern(
  site: Site,
  name: string,
  { processes = 1, workers = WORKERS, idleRoutes = 0 }: PosternVariant = {},
): Promise<RunningServer> {
  const directory = site.serverDirectory(name)
  const port = await freePort()
  const config = writeConfig(site, directory, 'postern.yaml', {
    PORT: String(port),
    PROCESSES: String(processes),
    WORKERS: String(workers),
    PHPWORKERS: String(WORKERS),
    IDLEROUTES: Array.from({ length: idleRoutes }, (_, index) => idleRoute(directory, index)).join(
      '\n',
    ),
  })
  return behind([await startPhpFpm(site, directory)], () =>
    startPostern(site, directory, port, ['-c', config]),
  )
}

function idleRoute(directory: string, index: number): string {
  return `  - { path: /route-${index}/, fastcgi: "unix:${directory}/route-${index}.sock", capacity: 1 }`
}

async function startNginx(
  site: Site,
  name: string,
  values: { readonly KEPT: string; readonly KEEPCONN: string },
): Promise<RunningServer> {
  const directory = site.serverDirectory(name)
  const port = await freePort()
  const config = writeConfig(site, directory, 'nginx-fastcgi.conf', {
    ...values,
    PORT: String(port),
    USER,
  })
  const args = ['-p', directory, '-e', `${directory}/error.log`, '-c', config]
  return behind(await startWorkers(site, directory), () =>
    single(directory, port, EXECUTABLES.nginx, args),
  )
}

async function startLighttpd(site: Site): Promise<RunningServer> {
  const directory = site.serverDirectory('lighttpd')
  const port = await freePort()
  const values = { PORT: String(port), WORKERS: String(WORKERS) }
  const config = writeConfig(site, directory, 'lighttpd-fastcgi.conf', values)
  return behind([await startPhpFpm(site, directory)], () =>
    single(directory, port, EXECUTABLES.lighttpd, ['-D', '-f', config]),
  )
}

async function startH2o(site: Site): Promise<RunningServer> {
  const directory = site.serverDirectory('h2o')
  const port = await freePort()
  const config = writeConfig(site, directory, 'h2o.conf', { PORT: String(port), USER })
  return behind(await startWorkers(site, directory), () =>
    single(directory, port, EXECUTABLES.h2o, ['-c', config]),
  )
}

async function startApache(site: Site): Promise<RunningServer> {
  const directory = site.serverDirectory('apache')
  const port = await freePort()
  const config = writeConfig(site, directory, 'apache-fastcgi.conf', {
    PORT: String(port),
    MODULES: APACHE_MODULES,
    IDENTITY: APACHE_IDENTITY,
  })
  return behind(await startWorkers(site, directory), () =>
    single(directory, port, EXECUTABLES.apache, ['-DFOREGROUND', '-f', config]),
  )
}

async function startCaddy(site: Site): Promise<RunningServer> {
  const directory = site.serverDirectory('caddy')
  const port = await freePort()
  const config = writeConfig(site, directory, 'Caddyfile', { PORT: String(port) })
  const args = ['run', '--adapter', 'caddyfile', '--config', config]
  // Where Caddy keeps what it has last run with.
  const env = { XDG_CONFIG_HOME: directory, XDG_DATA_HOME: directory }
  return behind(await startWorkers(site, directory), () =>
    single(directory, port, EXECUTABLES.caddy, args, env),
  )
}
