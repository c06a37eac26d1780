/**
 * A whole server inside the test process, with scripts of its own, and the check that it leaves nothing
 * behind: teardown closes it and fails the test if a child process, a descriptor or a timer is still there.
 *
 * Port 0, a temporary folder, log records and access lines in arrays. Options are the config's own.
 */
import type { Test } from 'tap'
import type { LogFields, Logger } from '../../src/log.js'
import type { Spawner } from '../../src/process/spawner.js'
import {
  type CgiRouteConfig,
  type Config,
  defaultCgiRoute,
  defaultConfig,
  type RouteConfig,
} from '../../src/server/config.js'
// The server loads it when a route needs it; tsx would start its compiler then, and be found as a leak.
import '../../src/server/fastcgi-mount.js'
import '../../src/server/scgi-mount.js'
import '../../src/server/uwsgi-mount.js'
import '../../src/server/wsgi-mount.js'
import { type RunningServer, startServer } from '../../src/server/listener.js'
import { children, commandOf, openDescriptors } from './processes.js'
import { RawConnection, type RequestParts } from './raw-http.js'
import type { RawResponse, ReadOptions } from './raw-response.js'
import { type SpawnerName, spawnerNamed } from './spawners.js'
import { type FileTable, type TempRoot, tempRoot } from './temp-root.js'
import { waitFor, within } from './wait-for.js'

export interface ServeOptions {
  /** Files below `cgi-bin/`, executable. */
  readonly scripts?: FileTable
  /** Files below `public/`. */
  readonly files?: FileTable
  /** Changes to the route `/cgi-bin/`. */
  readonly route?: Partial<CgiRouteConfig>
  /** Routes beside `/cgi-bin/`. */
  readonly routes?: (root: TempRoot) => readonly RouteConfig[]
  readonly config?: Partial<Config>
  /** A spawner by name, or one of the test's own. */
  readonly spawner?: SpawnerName | Spawner
}

/** One call of the logger. */
export interface LogRecord {
  readonly level: keyof Logger
  readonly fields: LogFields
  readonly message: string
}

/** An access line as JSON. */
export type AccessEntry = Readonly<Record<string, unknown>>

export interface TestServer {
  /** `http://127.0.0.1:8000` or `unix:/path`. */
  readonly origin: string
  /** 0 for a unix socket. */
  readonly port: number
  readonly root: TempRoot
  readonly running: RunningServer
  readonly records: readonly LogRecord[]
  /** Access lines as they were written. */
  readonly access: readonly string[]
  /** A connection that is destroyed in teardown. */
  connect(): Promise<RawConnection>
  /** One request on a connection of its own. */
  request(target: string, parts?: RequestParts, options?: ReadOptions): Promise<RawResponse>
  /** Waits for the access line of the first request whose line holds `text`. */
  accessFor(text: string): Promise<AccessEntry>
  /** Waits for a record whose fields and message, as JSON, hold `text`. */
  recordOf(text: string): Promise<LogRecord>
  /** Empties `records` and `access`. */
  forget(): void
}

/** Starts a server; it is closed, and looked at for leaks, in teardown. */
export async function startTestServer(t: Test, options: ServeOptions = {}): Promise<TestServer> {
  const root = tempRoot(t, options.scripts, options.files)
  const wanted = options.spawner ?? 'default'
  const spawner = typeof wanted === 'string' ? await spawnerNamed(wanted) : wanted
  const before = { children: new Set(children()), descriptors: openDescriptors(), timers: timers() }
  const records: LogRecord[] = []
  const access: string[] = []
  const config: Config = {
    ...defaultConfig,
    listen: [{ kind: 'tcp', host: '127.0.0.1', port: 0 }],
    root: root.public,
    log: { access: 'json', level: 'debug' },
    routes: [cgiRoute(root, options.route), ...(options.routes?.(root) ?? [])],
    ...options.config,
  }
  const running = await startServer(config, {
    spawner,
    log: recorder(records),
    access: line => void access.push(line),
  })
  t.teardown(async () => {
    await within('the server is closed', running.close(), 20_000)
    await nothingLeft(before)
  })

  const origin = running.addresses[0] ?? ''
  const connect = (): Promise<RawConnection> => RawConnection.open(t, origin)
  return {
    origin,
    port: origin.startsWith('unix:') ? 0 : Number(new URL(origin).port),
    root,
    running,
    records,
    access,
    connect,
    request: async (target, parts, readOptions) => {
      const connection = await connect()
      connection.request(target, parts)
      const head = parts?.method === 'HEAD'
      const response = await connection.response({ head, ...readOptions })
      connection.destroy()
      return response
    },
    accessFor: async text => {
      const line = await waitFor(`access line of ${text}`, () =>
        access.find(entry => entry.includes(text)),
      )
      return JSON.parse(line) as AccessEntry
    },
    recordOf: text =>
      waitFor(`log record with ${text}`, () =>
        records.find(record => JSON.stringify([record.fields, record.message]).includes(text)),
      ),
    forget: () => {
      records.length = 0
      access.length = 0
    },
  }
}

/** The route `/cgi-bin/` of a test: every default, and NOTES names the folder for notes. */
export function cgiRoute(root: TempRoot, changes: Partial<CgiRouteConfig> = {}): CgiRouteConfig {
  const env = {
    set: { NOTES: root.notes, ...changes.env?.set },
    pass: changes.env?.pass ?? [],
  }
  const place = { path: '/cgi-bin/', target: root.cgi, program: false }
  return { ...defaultCgiRoute, ...place, ...changes, env }
}

function recorder(records: LogRecord[]): Logger {
  const at =
    (level: keyof Logger) =>
    (fields: LogFields, message: string): void =>
      void records.push({ level, fields, message })
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

interface Before {
  readonly children: ReadonlySet<number>
  readonly descriptors: ReadonlyMap<number, string>
  readonly timers: number
}

/** Timers that keep this process alive. */
function timers(): number {
  return process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
}

/** @throws Error that names what the server has left. */
async function nothingLeft(before: Before): Promise<void> {
  const processes = (): string[] =>
    children()
      .filter(pid => !before.children.has(pid))
      .map(pid => `process ${pid} (${commandOf(pid)})`)
  const descriptors = (): string[] =>
    [...openDescriptors()]
      .filter(([fd, what]) => before.descriptors.get(fd) !== what)
      .map(([fd, what]) => `descriptor ${fd} (${what})`)
  const late = (): string[] => {
    const count = timers() - before.timers
    return count > 0 ? [`timers: ${count}`] : []
  }
  const left = (): string[] => [...processes(), ...descriptors(), ...late()]
  await waitFor('nothing is left', () => left().length === 0, 5_000).catch(() => {
    throw new Error(`left behind by the server: ${left().join(', ')}`)
  })
}
