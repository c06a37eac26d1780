/**
 * `routes` of a configuration: which kind each is, its shape, and the complete route with every default.
 *
 * Each kind is read by a file of its own; what cgi routes have is here.
 */
import type { z } from 'zod'
import { type CgiRouteConfig, defaultCgiRoute, type RouteConfig } from './config.js'
import { check } from './config-check.js'
import type { ConfigDocument } from './config-document.js'
import { describePath, type SettingPath, showValue } from './config-error.js'
import { readFastCgiRoute } from './config-fastcgi.js'
import {
  type ConfigSurroundings,
  readCgiTarget,
  readFolder,
  readInterpreter,
} from './config-paths.js'
import {
  type RouteDefaults,
  readProgramRoute,
  readProgramTimeouts,
} from './config-program-route.js'
import { readProxyRoute } from './config-proxy.js'
import {
  type RawCgiRoute,
  type RouteKind,
  routeKeys,
  routeKinds,
  routeSchemas,
} from './config-schema.js'
import { readScgiRoute, readUwsgiRoute } from './config-sockets.js'
import { readWsgiRoute } from './config-wsgi.js'
import { nearMiss } from './near-miss.js'
import { faultOfRoutePath, withTrailingSlash } from './route-path.js'

type RawRoute = Readonly<Record<string, unknown>>
type ShapedRoute = z.output<(typeof routeSchemas)[RouteKind]>

/**
 * The routes, complete.
 * @throws ConfigError for the first one that is wrong
 */
export function readRoutes(
  surroundings: ConfigSurroundings,
  rawRoutes: readonly RawRoute[],
  defaults: RouteDefaults,
): RouteConfig[] {
  const { document } = surroundings
  const routes: RouteConfig[] = []
  for (const [index, raw] of rawRoutes.entries()) {
    const place = ['routes', index]
    const kind = kindOf(document, place, raw)
    const shaped = check(document, routeSchemas[kind], raw, place)
    const path = readRoutePath(document, [...place, 'path'], shaped.path)
    const twin = routes.findIndex(route => route.path === path)
    if (twin !== -1) {
      document.fail(
        [...place, 'path'],
        `${showValue(path)} is the path of ${describePath(['routes', twin])} already`,
        'remove one of the two, or give it another path',
      )
    }
    routes.push(readRoute(surroundings, place, path, shaped, defaults))
  }
  return routes
}

function readRoute(
  surroundings: ConfigSurroundings,
  place: SettingPath,
  path: string,
  raw: ShapedRoute,
  defaults: RouteDefaults,
): RouteConfig {
  if ('cgi' in raw) return readCgiRoute(surroundings, place, path, raw, defaults)
  if ('fastcgi' in raw) return readFastCgiRoute(surroundings, place, path, raw, defaults)
  if ('scgi' in raw) return readScgiRoute(surroundings, place, path, raw, defaults)
  if ('uwsgi' in raw) return readUwsgiRoute(surroundings, place, path, raw, defaults)
  if ('wsgi' in raw) return readWsgiRoute(surroundings, place, path, raw, defaults)
  return readProxyRoute(surroundings, place, path, raw, defaults)
}

/** The one key that says what answers below this path. */
function kindOf(document: ConfigDocument, place: SettingPath, raw: RawRoute): RouteKind {
  const [kind, second] = routeKinds.filter(name => Object.hasOwn(raw, name))
  if (second !== undefined) {
    document.failAtKey(
      [...place, second],
      `a route has one kind, and this one is ${kind} already`,
      `remove one of the two, or give ${second} a route of its own`,
    )
  }
  if (kind !== undefined) return kind
  // More likely a kind that was mistyped than one that was left out.
  const unknown = Object.keys(raw).find(key => !routeKeys.includes(key))
  const meant = unknown === undefined ? undefined : nearMiss(unknown, routeKeys)
  if (unknown !== undefined && meant !== undefined) {
    document.failAtKey([...place, unknown], 'unknown key', `did you mean ${meant}?`)
  }
  return document.fail(
    place,
    'the route does not say what answers',
    `add one of ${routeKinds.join(', ')}; for example cgi: cgi-bin/`,
  )
}

/** The prefix with its trailing slash. */
function readRoutePath(document: ConfigDocument, place: SettingPath, given: string): string {
  const fault = faultOfRoutePath(given)
  if (fault !== undefined) document.fail(place, fault.problem, fault.remedy)
  return withTrailingSlash(given)
}

function readCgiRoute(
  surroundings: ConfigSurroundings,
  place: SettingPath,
  path: string,
  raw: RawCgiRoute,
  defaults: RouteDefaults,
): CgiRouteConfig {
  const interpreters = readInterpreters(surroundings, [...place, 'interpreters'], raw.interpreters)
  const suffixes = Object.keys(interpreters)
  const standard = defaultCgiRoute
  return {
    kind: 'cgi',
    ...readProgramRoute(surroundings, place, path, raw, defaults),
    ...readCgiTarget(surroundings, [...place, 'cgi'], raw.cgi, file =>
      suffixes.some(suffix => file.endsWith(suffix)),
    ),
    interpreters,
    warm: raw.warm ?? standard.warm,
    index: raw.index ?? standard.index,
    preset: raw.preset ?? standard.preset,
    processes: raw.processes ?? standard.processes,
    timeouts: readProgramTimeouts(raw.timeouts),
    symlinks: raw.symlinks ?? standard.symlinks,
    plainOutput: raw.plainOutput ?? standard.plainOutput,
    cwd:
      raw.cwd === undefined ? standard.cwd : readFolder(surroundings, [...place, 'cwd'], raw.cwd),
  }
}

function readInterpreters(
  surroundings: ConfigSurroundings,
  place: SettingPath,
  raw: Readonly<Record<string, string>> | undefined,
): Record<string, string> {
  const interpreters: Record<string, string> = {}
  for (const [suffix, given] of Object.entries(raw ?? {})) {
    if (!/^\.[^/\0]+$/.test(suffix)) {
      surroundings.document.failAtKey(
        [...place, suffix],
        `expected a suffix that begins with a dot, got ${showValue(suffix)}`,
        'write for example .py: python3',
      )
    }
    interpreters[suffix] = readInterpreter(surroundings, [...place, suffix], given)
  }
  return interpreters
}
