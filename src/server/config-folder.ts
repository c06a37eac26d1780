/**
 * A Config without a file: what `postern` serves in a folder, and what flags change.
 *
 * Flags win over a file. Nothing here loads yaml or zod: this is the way of the shortest start.
 */
import { join, resolve } from 'node:path'
import type { Address } from '../upstream/address.js'
import {
  type Config,
  defaultCgiRoute,
  defaultConfig,
  defaultFastCgiRoute,
  defaultProxyRoute,
  defaultScgiRoute,
  defaultUwsgiRoute,
  type ListenAddress,
  type RouteConfig,
} from './config.js'
import { ConfigError } from './config-error.js'
import { kindOfFile } from './config-paths.js'
import { wsgiRoute } from './wsgi-route.js'

/** What flags say; whatever is absent stays as it is. */
export interface ConfigOverrides {
  readonly host?: string
  readonly port?: number
  /** Folder of static files. */
  readonly root?: string
  /** Folder of scripts for `/cgi-bin/`. */
  readonly cgiBin?: string
  /** Programs that answer a prefix; each path once. */
  readonly mounts?: readonly MountOverride[]
  readonly dev?: boolean
  readonly processes?: number
  readonly access?: Config['log']['access']
  readonly level?: Config['log']['level']
}

/** `/app/=unix:/run/app.sock`, `/py/=app:application`. */
export type MountOverride = {
  /** Begins and ends with `/`. */
  readonly path: string
} & (
  | {
      readonly kind: 'fastcgi' | 'scgi' | 'uwsgi' | 'proxy'
      /** The path of a socket may be relative to the working directory. */
      readonly address: Address
    }
  | { readonly kind: 'wsgi'; readonly application: string }
)

/**
 * What a folder serves by itself: `./public` or the folder, and `./cgi-bin` when it is there.
 * @throws ConfigError when the folder or one that a flag names is not there
 */
export function configForFolder(
  directory: string,
  overrides: ConfigOverrides = {},
  environment: NodeJS.ProcessEnv = {},
): Config {
  const folder = requireFolder(directory, 'the folder to serve')
  const cgiBin = join(folder, 'cgi-bin')
  const own: ConfigOverrides = {
    root: staticRootOf(folder),
    ...(kindOfFile(cgiBin) === 'directory' ? { cgiBin } : {}),
  }
  return applyOverrides(defaultConfig, { ...own, ...overrides }, environment)
}

/** `public` inside the folder when it is there, else the folder. */
export function staticRootOf(folder: string): string {
  const inside = join(folder, 'public')
  return kindOfFile(inside) === 'directory' ? inside : folder
}

/**
 * The configuration with the flags on top.
 * @param environment the server's own, for an interpreter that a flag asks for
 * @throws ConfigError when a folder or the interpreter is not there
 */
export function applyOverrides(
  config: Config,
  overrides: ConfigOverrides,
  environment: NodeJS.ProcessEnv = {},
): Config {
  const changed: Config = {
    ...config,
    listen: overrideListen(config.listen, overrides),
    root: overrides.root === undefined ? config.root : requireFolder(overrides.root, '--root'),
    processes: overrides.processes ?? config.processes,
    log: {
      access: overrides.access ?? config.log.access,
      level: overrides.level ?? config.log.level,
    },
    dev: overrides.dev ?? config.dev,
  }
  const withFlags = (overrides.mounts ?? []).reduce(
    (before, mount) => withMount(before, mount, environment),
    changed,
  )
  if (overrides.cgiBin === undefined) return withFlags
  return withCgiBin(withFlags, requireFolder(overrides.cgiBin, '--cgi-bin'))
}

/** One address as soon as a flag names a part of it; the other part is that of the first TCP address. */
function overrideListen(
  listen: readonly ListenAddress[],
  { host, port }: ConfigOverrides,
): readonly ListenAddress[] {
  if (host === undefined && port === undefined) return listen
  const first = [...listen, ...defaultConfig.listen].find(address => address.kind === 'tcp')
  if (first === undefined) return listen
  return [{ kind: 'tcp', host: host ?? first.host, port: port ?? first.port }]
}

/** `/cgi-bin/` runs the scripts of this folder, with the other settings of that route if there is one. */
function withCgiBin(config: Config, target: string): Config {
  const path = '/cgi-bin/'
  const existing = config.routes.find(route => route.path === path)
  const settings = existing?.kind === 'cgi' ? existing : defaultCgiRoute
  const route = { ...settings, path, target, program: false }
  return { ...config, routes: [...config.routes.filter(other => other !== existing), route] }
}

/** The program answers the path, with the other settings of that route if there is one of its kind. */
function withMount(config: Config, mount: MountOverride, environment: NodeJS.ProcessEnv): Config {
  const existing = config.routes.find(route => route.path === mount.path)
  const route = routeOf(mount, existing, environment)
  return { ...config, routes: [...config.routes.filter(other => other !== existing), route] }
}

function routeOf(
  mount: MountOverride,
  existing: RouteConfig | undefined,
  environment: NodeJS.ProcessEnv,
): RouteConfig {
  const { kind, path } = mount
  if (kind === 'wsgi') {
    const { application } = mount
    // What a worker runs is more than one setting: nothing of the file's route would still fit.
    return wsgiRoute({ path, application, directory: resolve('.') }, environment)
  }
  const addresses = [absoluteAddress(mount.address)]
  switch (kind) {
    case 'fastcgi': {
      const settings = existing?.kind === kind ? existing : defaultFastCgiRoute
      return { ...settings, path, backend: { kind: 'addresses', addresses } }
    }
    case 'scgi':
      return { ...(existing?.kind === kind ? existing : defaultScgiRoute), path, addresses }
    case 'uwsgi':
      return { ...(existing?.kind === kind ? existing : defaultUwsgiRoute), path, addresses }
    case 'proxy':
      return { ...(existing?.kind === kind ? existing : defaultProxyRoute), path, addresses }
    default:
      return kind satisfies never
  }
}

/** A socket on the command line is where the shell is. */
function absoluteAddress(address: Address): Address {
  return address.kind === 'unix' ? { kind: 'unix', path: resolve(address.path) } : address
}

function requireFolder(given: string, flag: string): string {
  const folder = resolve(given)
  const kind = kindOfFile(folder)
  if (kind === 'directory') return folder
  const problem = kind === 'file' ? `${given} is not a folder` : `there is no folder ${given}`
  throw new ConfigError({ flag }, problem, 'create it, or correct the path')
}
