/**
 * What an scgi route needs to know: types and defaults, complete and read-only.
 *
 * `server/config-sockets.ts` fills it from `postern.yaml`. A setting must have a user today.
 */
import { type AddressRouteConfig, defaultAddressRoute } from '../cgi/options.js'

/** SCGI applications that run already: they have the whole prefix. */
export interface ScgiRouteConfig extends AddressRouteConfig {
  readonly kind: 'scgi'
  /** Follow a Location without a host ourselves (RFC 3875 §6.2.2), as mod_proxy_scgi does (E-12). */
  readonly localRedirects: boolean
}

/** An scgi route with every default; path and addresses are the caller's. */
export const defaultScgiRoute: Omit<ScgiRouteConfig, 'path' | 'addresses'> = {
  ...defaultAddressRoute,
  kind: 'scgi',
  localRedirects: true,
}
