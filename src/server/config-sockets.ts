/**
 * scgi and uwsgi routes of a configuration: from their shapes to the complete settings.
 *
 * Programs that run already, at one address or several; the two kinds differ in a default and one key.
 */
import {
  type AddressRouteConfig,
  defaultScgiRoute,
  defaultUwsgiRoute,
  type ScgiRouteConfig,
  type UwsgiRouteConfig,
} from './config.js'
import { readAddresses } from './config-addresses.js'
import type { SettingPath } from './config-error.js'
import type { ConfigSurroundings } from './config-paths.js'
import {
  type RouteDefaults,
  readBackendTimeouts,
  readProgramRoute,
} from './config-program-route.js'
import type { RawScgiRoute, RawUwsgiRoute } from './config-schema.js'

/**
 * The route, complete.
 * @throws ConfigError for the first setting that is wrong
 */
export function readScgiRoute(
  surroundings: ConfigSurroundings,
  place: SettingPath,
  path: string,
  raw: RawScgiRoute,
  defaults: RouteDefaults,
): ScgiRouteConfig {
  const standard = defaultScgiRoute
  refuseStreaming(surroundings, place, raw.requestBody, 'SCGI')
  return {
    kind: 'scgi',
    ...readProgramRoute(surroundings, place, path, raw, defaults, standard),
    ...readBehind(surroundings, [...place, 'scgi'], raw.scgi, raw, standard),
    localRedirects: raw.localRedirects ?? standard.localRedirects,
  }
}

/**
 * The route, complete.
 * @throws ConfigError for the first setting that is wrong
 */
export function readUwsgiRoute(
  surroundings: ConfigSurroundings,
  place: SettingPath,
  path: string,
  raw: RawUwsgiRoute,
  defaults: RouteDefaults,
): UwsgiRouteConfig {
  const standard = defaultUwsgiRoute
  refuseStreaming(surroundings, place, raw.requestBody, 'uwsgi')
  return {
    kind: 'uwsgi',
    ...readProgramRoute(surroundings, place, path, raw, defaults, standard),
    ...readBehind(surroundings, [...place, 'uwsgi'], raw.uwsgi, raw, standard),
    localRedirects: raw.localRedirects ?? standard.localRedirects,
    modifier1: raw.modifier1 ?? standard.modifier1,
  }
}

function readBehind(
  surroundings: ConfigSurroundings,
  place: SettingPath,
  addresses: RawScgiRoute['scgi'],
  raw: Pick<RawScgiRoute, 'capacity' | 'timeouts'>,
  standard: Pick<AddressRouteConfig, 'capacity'>,
): Pick<AddressRouteConfig, 'addresses' | 'capacity' | 'timeouts'> {
  return {
    addresses: readAddresses(surroundings, place, addresses),
    capacity: raw.capacity ?? standard.capacity,
    timeouts: readBackendTimeouts(raw.timeouts),
  }
}

/** H-3: the length of a body comes first, so a chunked one has to be counted. */
function refuseStreaming(
  { document }: ConfigSurroundings,
  place: SettingPath,
  requestBody: 'spool' | 'stream' | undefined,
  protocol: string,
): void {
  if (requestBody !== 'stream') return
  document.fail(
    [...place, 'requestBody'],
    `${protocol} tells the length of a body before it, so a body without one cannot be streamed`,
    'remove it: bodies with a length are streamed anyway',
  )
}
