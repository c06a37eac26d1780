/**
 * `postern.yaml` (or `.json`) → Config, with file, line and column for every mistake.
 *
 * The gate for everything that is written in a file: beyond it a Config is complete and true. The shape
 * is in `config-schema.ts`, routes in `config-routes.ts`. Imported only when there is a file to read:
 * yaml and zod take longer to load than a server without them takes to start.
 */
import { readFileSync, statSync } from 'node:fs'
import { dirname, extname, resolve } from 'node:path'
import { describeListen, longestSocketPath, parseHost } from './address.js'
import {
  type Config,
  defaultConfig,
  defaultRouteLimits,
  type ListenAddress,
  type RouteConfig,
} from './config.js'
import { check } from './config-check.js'
import { ConfigDocument, type ConfigFormat } from './config-document.js'
import { emptyEnv, readEnv } from './config-env.js'
import { ConfigError, type SettingPath, type SettingPlace } from './config-error.js'
import { type ConfigSurroundings, readFolder } from './config-paths.js'
import { readRouteLimits } from './config-program-route.js'
import { readRoutes } from './config-routes.js'
import { configSchema, type RawConfig } from './config-schema.js'
import { filesOfCommand } from './config-workers.js'
import { searchPathOf } from './search-path.js'

/** No configuration that people write is longer; a wrong file named with -c may be. */
const largestFileBytes = 1024 * 1024

/** What a text needs to be understood. */
export interface ConfigTextSource {
  /** What messages call it. */
  readonly file: string
  /** Absolute folder that relative paths begin at. */
  readonly directory: string
  readonly format: ConfigFormat
  /** The server's own variables: programs have some of them, and are found on its PATH. Default: none. */
  readonly environment?: NodeJS.ProcessEnv
}

/** A Config and where its addresses were written, for the message when one cannot be had. */
export interface PlacedConfig {
  readonly config: Config
  /** One for each of `config.listen`. */
  readonly listenPlaces: readonly SettingPlace[]
}

/**
 * Reads a configuration file; `.json` is JSON, everything else YAML.
 * @param path as the user named it; messages show it so
 * @throws ConfigError when it cannot be read or is wrong
 */
export function parseConfigFile(path: string, environment?: NodeJS.ProcessEnv): Config {
  return readConfigFile(path, environment).config
}

/**
 * Reads a configuration from text.
 * @throws ConfigError for the first mistake
 */
export function parseConfigText(text: string, source: ConfigTextSource): Config {
  return readConfigText(text, source).config
}

/** `parseConfigFile` with the places of the addresses. */
export function readConfigFile(path: string, environment: NodeJS.ProcessEnv = {}): PlacedConfig {
  const absolute = resolve(path)
  const { config, listenPlaces } = readConfigText(readText(path), {
    file: path,
    directory: dirname(absolute),
    format: extname(path).toLowerCase() === '.json' ? 'json' : 'yaml',
    environment,
  })
  return { config: { ...config, hidden: [...config.hidden, absolute] }, listenPlaces }
}

function readText(path: string): string {
  try {
    if (statSync(path).size > largestFileBytes) {
      throw new ConfigError({ file: path }, 'larger than 1 MiB', 'name a configuration file')
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path))
  } catch (error) {
    if (error instanceof ConfigError) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
      throw new ConfigError({ file: path }, 'not UTF-8 text', 'save it as UTF-8')
    }
    throw new ConfigError(
      { file: path },
      `the configuration cannot be read (${code})`,
      'check the path and the permissions',
    )
  }
}

function readConfigText(text: string, source: ConfigTextSource): PlacedConfig {
  const { file, directory, format, environment = {} } = source
  const document = new ConfigDocument(text, file, format)
  const searchPath = searchPathOf(emptyEnv, environment)
  const surroundings: ConfigSurroundings = { document, directory, environment, searchPath }
  const raw = check(document, configSchema, document.value ?? {}, [])
  return {
    config: readConfig(surroundings, raw),
    listenPlaces: listenPaths(raw.listen).map(path => document.place(path)),
  }
}

function readConfig(surroundings: ConfigSurroundings, raw: RawConfig): Config {
  const { document } = surroundings
  const standard = defaultConfig
  const routes = readRoutes(surroundings, raw.routes ?? [], {
    env: readEnv(document, ['env'], raw.env, emptyEnv),
    limits: readRouteLimits(raw.limits, defaultRouteLimits),
  })
  return {
    listen: readListen(surroundings, raw.listen),
    root: raw.root === undefined ? standard.root : readFolder(surroundings, ['root'], raw.root),
    index: raw.index ?? standard.index,
    serverName: readServerName(document, raw.serverName),
    processes: raw.processes ?? standard.processes,
    log: {
      access: raw.log?.access ?? standard.log.access,
      level: raw.log?.level ?? standard.log.level,
    },
    limits: {
      requestLineBytes: raw.limits?.requestLine ?? standard.limits.requestLineBytes,
      headBytes: raw.limits?.head ?? standard.limits.headBytes,
      headerCount: raw.limits?.headers ?? standard.limits.headerCount,
    },
    timeouts: {
      headMs: raw.timeouts?.head ?? standard.timeouts.headMs,
      bodyMs: raw.timeouts?.body ?? standard.timeouts.bodyMs,
      keepAliveMs: raw.timeouts?.keepAlive ?? standard.timeouts.keepAliveMs,
      drainMs: raw.timeouts?.drain ?? standard.timeouts.drainMs,
    },
    routes,
    hidden: [...standard.hidden, ...routes.flatMap(programsOf)],
    dev: raw.dev ?? standard.dev,
  }
}

/** The programs of workers: like scripts, they may lie below the root, and are nobody's to read. */
function programsOf(route: RouteConfig): readonly string[] {
  if (route.kind !== 'fastcgi' || route.backend.kind !== 'workers') return []
  const { command, directory } = route.backend.workers
  return filesOfCommand(command, directory)
}

/** The paths of the addresses: `listen` itself, or its items. */
function listenPaths(raw: RawConfig['listen']): SettingPath[] {
  return Array.isArray(raw) ? raw.map((_, index) => ['listen', index]) : [['listen']]
}

function readListen(
  { document, directory }: ConfigSurroundings,
  raw: RawConfig['listen'],
): readonly ListenAddress[] {
  if (raw === undefined) return defaultConfig.listen
  const addresses = (Array.isArray(raw) ? raw : [raw]).map(
    (address): ListenAddress =>
      address.kind === 'unix' ? { kind: 'unix', path: resolve(directory, address.path) } : address,
  )
  const texts = addresses.map(describeListen)
  for (const [index, address] of addresses.entries()) {
    const place = listenPaths(raw)[index] ?? []
    const text = texts[index] ?? ''
    // Port 0 is a different port each time.
    if (!text.endsWith(':0') && texts.indexOf(text) < index) {
      document.fail(place, `${text} is there already`, 'remove one of the two')
    }
    if (address.kind === 'unix' && Buffer.byteLength(address.path) > longestSocketPath) {
      document.fail(
        place,
        `the path of a socket has at most ${longestSocketPath} bytes, ${address.path} is longer`,
        'write a shorter one, for example unix:/run/postern.sock',
      )
    }
  }
  return addresses
}

function readServerName(document: ConfigDocument, given: string | undefined): string | undefined {
  if (given === undefined) return defaultConfig.serverName
  const host = parseHost(given)
  if (host !== undefined) return host.includes(':') ? `[${host}]` : host.toLowerCase()
  return document.fail(
    ['serverName'],
    `expected a host name without a port, got ${JSON.stringify(given)}`,
    'write for example example.test',
  )
}
