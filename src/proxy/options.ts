/**
 * What a proxy route needs to know: types and defaults, complete and read-only.
 *
 * `server/config-proxy.ts` fills it from `postern.yaml`. A setting must have a user today.
 */
import { type AddressRouteConfig, defaultAddressRoute } from '../cgi/options.js'

/** HTTP servers that run already: they have the whole prefix. */
export interface ProxyRouteConfig extends AddressRouteConfig {
  readonly kind: 'proxy'
  /** The prefix is cut off the path; else the path goes on unchanged. */
  readonly stripPrefix: boolean
  /** `preserve`: the client's Host goes on. `upstream`: the address is the Host (H-13). */
  readonly host: 'preserve' | 'upstream'
  /** Addresses (`127.0.0.1`, `10.0.0.0/8`) whose X-Forwarded fields are appended to; those of others are replaced (H-13). */
  readonly trusted: readonly string[]
  /** Send `Forwarded` (RFC 7239) beside the X-Forwarded fields. */
  readonly forwarded: boolean
}

/** HTTP servers take many connections, and one that has become a WebSocket keeps its place for hours. */
export const defaultProxyCapacity = 64

/** A proxy route with every default; path and addresses are the caller's. */
export const defaultProxyRoute: Omit<ProxyRouteConfig, 'path' | 'addresses'> = {
  ...defaultAddressRoute,
  kind: 'proxy',
  capacity: defaultProxyCapacity,
  // B-19: an HTTP server checks passwords itself.
  passAuthorization: true,
  stripPrefix: false,
  host: 'preserve',
  trusted: [],
  forwarded: false,
}
