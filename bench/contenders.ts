/**
 * The servers that are compared, and how each is started: in the foreground, on 127.0.0.1, keep-alive on,
 * every request logged to a file, all of them on the same cgi-bin.
 *
 * One entry per contender. A new one needs a config below `peers/` and an entry here, nothing else.
 */
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { startChild, until } from './child.js'
import { type LoopDelayProbe, loopDelayOf } from './loop-delay-probe.js'
import { buildGo, fillTemplate, readTemplate, type Site } from './site.js'

export interface RunningServer {
  readonly port: number
  /** Roots of the process trees that make up the server. */
  readonly pids: readonly number[]
  readonly loopDelay: LoopDelayProbe | undefined
  /** What the server said when it ended by itself; undefined while it runs. */
  readonly ended: () => string | undefined
  readonly stop: () => Promise<void>
}

export interface Contender {
  readonly name: string
  /** `own` is compared with the best `peer`. */
  readonly side: 'own' | 'peer'
  readonly start: (site: Site) => Promise<RunningServer>
}

/** Name of the spawn loop, which is measured beside the servers. */
export const CEILING = 'spawn-loop'

/** fcgiwrap serves one request per process: as many as the marks were taken with. */
const FCGIWRAP_PROCESSES = 8
const APACHE_MODULES = '/usr/lib/apache2/modules'

const isRoot = process.getuid?.() === 0
const repository = dirname(import.meta.dirname)

export const contenders: readonly Contender[] = [
  { name: 'postern', side: 'own', start: site => startPostern(site, 'postern', []) },
  {
    name: 'postern-2',
    side: 'own',
    start: site => startPostern(site, 'postern-2', ['--processes', '2']),
  },
  { name: 'nginx', side: 'peer', start: startNginx },
  { name: 'lighttpd', side: 'peer', start: startLighttpd },
  { name: 'apache', side: 'peer', start: startApache },
  { name: 'go', side: 'peer', start: startGo },
]

async function startPostern(
  site: Site,
  name: string,
  flags: readonly string[],
): Promise<RunningServer> {
  const directory = site.serverDirectory(name)
  const port = await freePort()
  const hook = join(import.meta.dirname, 'loop-delay.mjs')
  const main = join(repository, 'dist', 'cli', 'main.js')
  const child = await startChild(
    process.execPath,
    ['--import', hook, main, 'serve', site.root, '-p', String(port), ...flags],
    {
      outputFile: join(directory, 'output.log'),
      cwd: directory,
      env: { POSTERN_BENCH_LOOP_DELAY: directory },
    },
  )
  return {
    port,
    pids: [child.pid],
    loopDelay: loopDelayOf(directory),
    ended: child.ended,
    stop: child.stop,
  }
}

async function startNginx(site: Site): Promise<RunningServer> {
  const directory = site.serverDirectory('nginx')
  const port = await freePort()
  const config = writeConfig(site, directory, 'nginx.conf', {
    PORT: String(port),
    USER: isRoot ? 'root' : 'nobody',
  })
  const wrap = await startChild(
    '/usr/sbin/fcgiwrap',
    ['-c', String(FCGIWRAP_PROCESSES), '-s', `unix:${directory}/fcgiwrap.sock`],
    { outputFile: join(directory, 'fcgiwrap.log'), cwd: directory },
  )
  const nginx = await startChild(
    '/usr/sbin/nginx',
    ['-p', directory, '-e', `${directory}/error.log`, '-c', config],
    { outputFile: join(directory, 'output.log'), cwd: directory },
  )
  return {
    port,
    pids: [nginx.pid, wrap.pid],
    loopDelay: undefined,
    ended: () => nginx.ended() ?? wrap.ended(),
    stop: async () => {
      await nginx.stop()
      await wrap.stop()
    },
  }
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
    IDENTITY: isRoot ? 'User www-data\nGroup www-data' : '',
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

async function single(
  directory: string,
  port: number,
  file: string,
  args: readonly string[],
): Promise<RunningServer> {
  const child = await startChild(file, args, {
    outputFile: join(directory, 'output.log'),
    cwd: directory,
  })
  return {
    port,
    pids: [child.pid],
    loopDelay: undefined,
    ended: child.ended,
    stop: child.stop,
  }
}

function writeConfig(
  site: Site,
  directory: string,
  name: string,
  values: Readonly<Record<string, string>>,
): string {
  const path = join(directory, name)
  writeFileSync(
    path,
    fillTemplate(readTemplate(name), { ...values, DIR: directory, ROOT: site.root }),
  )
  return path
}

/** The peers cannot be asked for port 0, so one that was free a moment ago has to do. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await until(
    () => server.listening,
    () => 'no free port',
  )
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no free port')
  await new Promise(resolve => server.close(resolve))
  return address.port
}
