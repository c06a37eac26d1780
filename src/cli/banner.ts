/**
 * What the user sees when the server has started: where it is, what it serves, what is wrong with it.
 *
 * The first line as soon as the sockets listen; routes and scripts follow, since looking at scripts takes
 * time. Text only; the looking is `inspect.ts`.
 */
import {
  type AddressRouteConfig,
  type Config,
  defaultCapacity,
  type FastCgiRoute,
  type RouteConfig,
  type WorkersConfig,
  type WsgiRouteConfig,
} from '../server/config.js'
import { printable } from '../server/printable.js'
import { describeAddress } from '../upstream/address.js'
import { inspectRoute, type RouteReport, type ScriptReport } from './inspect.js'

/** What the banner tells beside the configuration. */
export interface ServerFacts {
  readonly version: string
  /** `http://127.0.0.1:8000`, `unix:/run/postern.sock`. */
  readonly addresses: readonly string[]
  readonly spawner: { readonly name: string; readonly reason: string }
  /** Process ids when there are several. */
  readonly pids: readonly number[]
  /** The configuration file, if any. */
  readonly file: string | undefined
}

/** The first line. */
export function firstLine({ version, addresses }: ServerFacts): string {
  return `Postern ${version} on ${addresses.map(withSlash).join(' and ')}\n`
}

/** A URL as one clicks it. */
function withSlash(address: string): string {
  return address.startsWith('http') && !address.endsWith('/') ? `${address}/` : address
}

/** Everything after the first line. */
export async function furtherLines(
  config: Config,
  facts: ServerFacts,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  const lines = [...describeServer(config, facts)]
  for (const route of config.routes) {
    lines.push(describeRoute(route))
    if (route.kind !== 'cgi') continue
    const warm = route.warm && facts.spawner.name === 'posix'
    lines.push(...describeReport(await inspectRoute({ ...route, warm }, env)))
  }
  return `${lines.map(line => `  ${printable(line)}`).join('\n')}\n`
}

function* describeServer(config: Config, facts: ServerFacts): Generator<string> {
  if (facts.file !== undefined) yield `configured by ${facts.file}`
  yield `processes start by ${describeSpawner(facts.spawner)}`
  if (facts.pids.length > 1) {
    yield `${facts.pids.length} server processes (${facts.pids.join(', ')})`
  }
  if (config.root !== undefined) yield `/ files in ${config.root}`
}

/** `posix_spawn through koffi`, `child_process (POSTERN_SPAWN=node)`. */
function describeSpawner({ name, reason }: ServerFacts['spawner']): string {
  const call = name === 'node' ? 'child_process' : `${name}_spawn`
  return reason.startsWith(call) ? reason : `${call} (${reason})`
}

function describeRoute(route: RouteConfig): string {
  switch (route.kind) {
    case 'cgi': {
      const { path, program, target, processes } = route
      return `${path} ${program ? 'the program' : 'scripts in'} ${target}, ${processes} at once`
    }
    case 'fastcgi':
      return `${route.path} ${describeFastCgi(route)}`
    case 'scgi':
      return `${route.path} SCGI at ${describeAddresses(route)}`
    case 'uwsgi':
      return `${route.path} uwsgi at ${describeAddresses(route)}`
    case 'proxy':
      return `${route.path} HTTP at ${describeAddresses(route)}`
    case 'wsgi':
      return `${route.path} ${describeWsgi(route)}`
    default:
      return route satisfies never
  }
}

/** `FastCGI at unix:/run/app.sock, 8 at once`, `.php files in /srv/php by 4 workers of ./worker.fcgi`. */
function describeFastCgi({ backend, capacity, root, split }: FastCgiRoute): string {
  const files = root === undefined ? '' : `${split ?? ''} files in ${root} by `.trimStart()
  if (backend.kind === 'workers') {
    const { count, command } = backend.workers
    return `${files}${describeCount(count)} of ${command.join(' ')}`
  }
  const { addresses } = backend
  return `${files}FastCGI at ${describeAddresses({ addresses, capacity: capacity ?? defaultCapacity })}`
}

/** `WSGI application app:application in /srv/app by 2 workers of /usr/bin/python3`. */
function describeWsgi({ application, directory, python, mode, workers }: WsgiRouteConfig): string {
  const what = `WSGI application ${application} in ${directory}`
  if (mode === 'workers') return `${what} by ${describeCount(workers.count)} of ${python}`
  return `${what}, a ${mode === 'warm' ? 'warm' : 'fresh'} process of ${python} each`
}

/** `4 workers`, `1 to 8 workers`. */
function describeCount({ min, max }: WorkersConfig['count']): string {
  return `${min === max ? `${max}` : `${min} to ${max}`} ${max === 1 ? 'worker' : 'workers'}`
}

/** `unix:/run/app.sock, 8 at once`. */
function describeAddresses({
  addresses,
  capacity,
}: Pick<AddressRouteConfig, 'addresses' | 'capacity'>): string {
  const each = addresses.length > 1 ? ' each' : ''
  return `${addresses.map(describeAddress).join(' and ')}, ${capacity} at once${each}`
}

function* describeReport({ scripts, more, complete }: RouteReport): Generator<string> {
  const width = Math.min(40, Math.max(0, ...scripts.map(({ url }) => url.length)))
  for (const script of scripts) yield `  ${describeScript(script, width)}`
  if (scripts.length === 0) yield '  no scripts yet'
  if (!complete) yield `  and at least ${more} more`
  else if (more > 0) yield `  and ${more} more`
}

function describeScript({ url, verdict }: ScriptReport, width: number): string {
  const { fault } = verdict
  if (fault === undefined) return `${url.padEnd(width)}  ${verdict.runs}`
  return `${url.padEnd(width)}  cannot run: ${fault.problem}; ${fault.remedy}`
}
