/**
 * A proxy route of a configuration: from its shape to the complete settings.
 *
 * What is a right address is the schema's; here are the defaults and what needs two settings at once.
 */
import { readPeer } from '../proxy/trusted-peers.js'
import { defaultProxyRoute, type ProxyRouteConfig } from './config.js'
import { readAddresses } from './config-addresses.js'
import { type SettingPath, showValue } from './config-error.js'
import type { ConfigSurroundings } from './config-paths.js'
import {
  type RouteDefaults,
  readBackendTimeouts,
  readProgramRoute,
} from './config-program-route.js'
import type { RawProxyRoute } from './config-schema.js'

/**
 * The route, complete.
 * @throws ConfigError for the first setting that is wrong
 */
export function readProxyRoute(
  surroundings: ConfigSurroundings,
  place: SettingPath,
  path: string,
  raw: RawProxyRoute,
  defaults: RouteDefaults,
): ProxyRouteConfig {
  const standard = defaultProxyRoute
  const { trusted = standard.trusted } = raw
  for (const [index, text] of trusted.entries()) {
    if (readPeer(text) !== undefined) continue
    surroundings.document.fail(
      [...place, 'trusted', index],
      `expected an address or a network, got ${showValue(text)}`,
      'write for example 127.0.0.1, 10.0.0.0/8 or unix:',
    )
  }
  return {
    kind: 'proxy',
    ...readProgramRoute(surroundings, place, path, raw, defaults, standard),
    addresses: readAddresses(surroundings, [...place, 'proxy'], raw.proxy),
    capacity: raw.capacity ?? standard.capacity,
    timeouts: readBackendTimeouts(raw.timeouts),
    stripPrefix: raw.stripPrefix ?? standard.stripPrefix,
    host: raw.host ?? standard.host,
    trusted,
    forwarded: raw.forwarded ?? standard.forwarded,
  }
}
