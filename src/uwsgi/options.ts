/**
 * What a uwsgi route needs to know: types and defaults, complete and read-only.
 *
 * `server/config-sockets.ts` fills it from `postern.yaml`. A setting must have a user today.
 */
import { type AddressRouteConfig, defaultAddressRoute } from '../cgi/options.js'

/** uwsgi applications that run already: they have the whole prefix. */
export interface UwsgiRouteConfig extends AddressRouteConfig {
  readonly kind: 'uwsgi'
  /** Follow a Location without a host ourselves (RFC 3875 §6.2.2); by default it is the client's (E-12). */
  readonly localRedirects: boolean
  /** First byte of a packet, 0 to 255: 0 WSGI, 5 PSGI, 9 CGI, 30 WSGI as well (H-8). */
  readonly modifier1: number
}

/** A uwsgi route with every default; path and addresses are the caller's. */
export const defaultUwsgiRoute: Omit<UwsgiRouteConfig, 'path' | 'addresses'> = {
  ...defaultAddressRoute,
  kind: 'uwsgi',
  // B-19: applications behind uwsgi are WSGI's, which check passwords themselves.
  passAuthorization: true,
  localRedirects: false,
  modifier1: 0,
}
