/**
 * The hosts of WSGI applications that are compared: the same application, two Python workers, a log of every
 * request, and the same interpreter (Debian's, which gunicorn and uWSGI are built for).
 *
 * gunicorn's sync workers close the connection after each request; uWSGI's HTTP front end keeps it.
 */
import { join } from 'node:path'
import { startPostern } from './postern.js'
import { type Contender, freePort, type RunningServer, single, writeConfig } from './server.js'
import type { Site } from './site.js'

const WORKERS = '2'
const PYTHON = '/usr/bin/python3'

export const wsgiContenders: readonly Contender[] = [
  { name: 'postern', side: 'own', start: site => startWsgiPostern(site, 'postern', '1') },
  { name: 'postern-2', side: 'own', start: site => startWsgiPostern(site, 'postern-2', '2') },
  { name: 'gunicorn-sync', side: 'peer', start: startGunicorn },
  { name: 'uwsgi-http', side: 'peer', start: startUwsgi },
]

async function startWsgiPostern(
  site: Site,
  name: string,
  processes: string,
): Promise<RunningServer> {
  const directory = site.serverDirectory(name)
  const port = await freePort()
  const values = { PORT: String(port), PROCESSES: processes, PYTHON, WORKERS }
  const config = writeConfig(site, directory, 'wsgi.yaml', values)
  return startPostern(site, directory, port, ['-c', config])
}

async function startGunicorn(site: Site): Promise<RunningServer> {
  const directory = site.serverDirectory('gunicorn')
  const port = await freePort()
  return single(directory, port, '/usr/bin/gunicorn', [
    ...['-w', WORKERS, '-b', `127.0.0.1:${port}`, '--chdir', site.root],
    ...['--access-logfile', join(directory, 'access.log'), 'wsgi_hello:application'],
  ])
}

async function startUwsgi(site: Site): Promise<RunningServer> {
  const directory = site.serverDirectory('uwsgi')
  const port = await freePort()
  return single(directory, port, '/usr/bin/uwsgi', [
    ...['--plugins', 'http,python3', '--http', `127.0.0.1:${port}`, '--http-keepalive'],
    ...['--master', '--die-on-term', '--processes', WORKERS, '--chdir', site.root],
    ...['--module', 'wsgi_hello:application', '--logto', join(directory, 'uwsgi.log')],
  ])
}
