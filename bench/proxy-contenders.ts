/**
 * The HTTP proxies that are compared: gunicorn with two sync workers and a server of node:http behind each, over
 * unix sockets; otherwise as the CGI ones, in the foreground, with keep-alive towards clients and a log of every
 * request.
 *
 * nginx takes part with its default, a connection per request, and with connections kept.
 */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type ForegroundChild, until } from './child.js'
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
const NGINX = '/usr/sbin/nginx'
const GUNICORN = '/usr/bin/gunicorn'
const WORKERS = 2

const KEPT = {
  KEPT: 'keepalive 16;',
  VERSION: 'proxy_http_version 1.1; proxy_set_header Connection "";',
} as const

export const proxyContenders: readonly Contender[] = [
  { name: 'postern', side: 'own', start: site => startProxyPostern(site, 'postern', 1) },
  { name: 'postern-2', side: 'own', start: site => startProxyPostern(site, 'postern-2', 2) },
  {
    name: 'nginx',
    side: 'peer',
    start: site => startNginx(site, 'nginx', { KEPT: '', VERSION: '' }),
  },
  {
    name: 'nginx-keepalive',
    side: 'peer',
    start: site => startNginx(site, 'nginx-keepalive', KEPT),
  },
]

async function startProxyPostern(
  site: Site,
  name: string,
  processes: number,
): Promise<RunningServer> {
  const directory = site.serverDirectory(name)
  const port = await freePort()
  const values = { PORT: String(port), PROCESSES: String(processes) }
  const config = writeConfig(site, directory, 'postern-proxy.yaml', values)
  return behind(await startServers(site, directory), () =>
    startPostern(site, directory, port, ['-c', config]),
  )
}

async function startNginx(
  site: Site,
  name: string,
  values: { readonly KEPT: string; readonly VERSION: string },
): Promise<RunningServer> {
  const directory = site.serverDirectory(name)
  const port = await freePort()
  const config = writeConfig(site, directory, 'nginx-proxy.conf', {
    ...values,
    PORT: String(port),
    USER,
  })
  const args = ['-p', directory, '-e', `${directory}/error.log`, '-c', config]
  return behind(await startServers(site, directory), () => single(directory, port, NGINX, args))
}

/** Both servers behind a contender, listening; its own, so that their CPU time and memory are its own too. */
async function startServers(site: Site, directory: string): Promise<ForegroundChild[]> {
  const sockets = ['gunicorn.sock', 'node.sock'].map(name => join(directory, name))
  const [gunicorn = '', node = ''] = sockets
  for (const socket of sockets) rmSync(socket, { force: true })
  const app = join(site.root, 'hello-http.mjs')
  const flags = ['--workers', String(WORKERS), '--chdir', site.root, '--umask', '0']
  const args = [...flags, '--bind', `unix:${gunicorn}`, 'wsgi_hello:application']
  const python = await startOne(directory, GUNICORN, args, 'gunicorn.log')
  const started = [python]
  try {
    started.push(await startOne(directory, process.execPath, [app, node], 'node.log'))
    await until(
      () => sockets.every(socket => existsSync(socket)),
      () => `nobody listens on ${sockets.join(' and ')}`,
    )
  } catch (error) {
    await stopAll(started)
    throw error
  }
  return started
}
