/**
 * What every route with a program behind it has, whatever protocol the program speaks: from the shape to
 * the complete settings, with the defaults of the top of the file.
 *
 * A setting of one kind of route does not belong here.
 */
import {
  type BackendTimeouts,
  defaultBackendTimeouts,
  defaultCgiRoute,
  type EnvConfig,
  type ProgramRouteConfig,
  type ProgramTimeouts,
  type RouteLimits,
} from './config.js'
import { readAddress } from './config-addresses.js'
import { readEnv } from './config-env.js'
import type { SettingPath } from './config-error.js'
import { type ConfigSurroundings, readFolder } from './config-paths.js'
import type {
  RawAnyRoute,
  RawBackendTimeouts,
  RawProgramTimeouts,
  RawRouteLimits,
} from './config-schema-route.js'

/** What the top of the file gives every route. */
export interface RouteDefaults {
  readonly env: EnvConfig
  readonly limits: RouteLimits
}

/**
 * The settings that all kinds share, but for the times.
 * @param standard defaults of the kind
 * @throws ConfigError for the first one that is wrong
 */
export function readProgramRoute(
  surroundings: ConfigSurroundings,
  place: SettingPath,
  path: string,
  raw: RawAnyRoute,
  defaults: RouteDefaults,
  standard: Omit<ProgramRouteConfig, 'path'> = defaultCgiRoute,
): Omit<ProgramRouteConfig, 'timeouts'> {
  return {
    path,
    env: readEnv(surroundings.document, [...place, 'env'], raw.env, defaults.env),
    passAuthorization: raw.passAuthorization ?? standard.passAuthorization,
    queue: {
      length: raw.queue?.length ?? standard.queue.length,
      waitMs: raw.queue?.wait ?? standard.queue.waitMs,
    },
    limits: readRouteLimits(raw.limits, defaults.limits),
    requestBody: raw.requestBody ?? standard.requestBody,
    encodedSlash: raw.encodedSlash ?? standard.encodedSlash,
    ambiguousHeaders: raw.ambiguousHeaders ?? standard.ambiguousHeaders,
    decodeChunked: raw.decodeChunked ?? standard.decodeChunked,
    methods: raw.methods ?? standard.methods,
    sendfile: (raw.sendfile ?? standard.sendfile).map((folder, index) =>
      readFolder(surroundings, [...place, 'sendfile', index], folder),
    ),
    authorize:
      raw.authorize === undefined
        ? standard.authorize
        : readAddress(surroundings, [...place, 'authorize'], raw.authorize),
  }
}

/** Time limits on a program behind an address, with the defaults. */
export function readBackendTimeouts(raw: RawBackendTimeouts | undefined): BackendTimeouts {
  return {
    connectMs: raw?.connect ?? defaultBackendTimeouts.connectMs,
    ...readProgramTimeouts(raw),
  }
}

/** The limits of a route on top of those of the file. */
export function readRouteLimits(raw: RawRouteLimits | undefined, base: RouteLimits): RouteLimits {
  return {
    bodyBytes: raw?.body ?? base.bodyBytes,
    responseHeadBytes: raw?.responseHead ?? base.responseHeadBytes,
    responseHeaderCount: raw?.responseHeaders ?? base.responseHeaderCount,
    stderrBytes: raw?.stderr ?? base.stderrBytes,
    spoolMemoryBytes: raw?.spoolMemory ?? base.spoolMemoryBytes,
  }
}

/** Time limits on a program, with the defaults. */
export function readProgramTimeouts(raw: RawProgramTimeouts | undefined): ProgramTimeouts {
  const standard = defaultCgiRoute.timeouts
  return {
    firstByteMs: raw?.firstByte ?? standard.firstByteMs,
    idleMs: raw?.idle ?? standard.idleMs,
    totalMs: raw?.total ?? standard.totalMs,
    graceMs: raw?.grace ?? standard.graceMs,
  }
}
