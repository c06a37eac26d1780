/**
 * What a responder may be told: types, defaults, and one gate that refuses what makes no sense.
 *
 * Every number here bounds something a web server, or the client behind it, could lengthen. Sizes end in
 * `Bytes`. A setting must have a user today.
 */
import { logToStderr, refuseLimits } from '../cgi/app-listener.js'
import type { Role } from './record.js'

export interface ResponderLimits {
  /** Connections at once; further ones are closed. Told as FCGI_MAX_CONNS. Default 1024. */
  readonly maxConnections: number
  /** Requests at once over all connections; further ones end with OVERLOADED. Told as FCGI_MAX_REQS. Default 1024. */
  readonly maxRequests: number
  /** Several requests at once on a connection; otherwise a second one ends with CANT_MPX_CONN. Default true. */
  readonly multiplex: boolean
  /** Bytes of one request's PARAMS with their lengths; more end the connection. Default 1 MiB. */
  readonly maxParamsBytes: number
  /**
   * Bytes of STDIN, and of DATA, kept for a request that does not read them. FastCGI cannot hold back one
   * request alone: past this limit the whole connection waits until the request reads on, its other
   * requests with it. Default 1 MiB.
   */
  readonly maxBufferedBytes: number
}

export interface ResponderSettings extends ResponderLimits {
  /** Roles that are served; others end with UNKNOWN_ROLE. Default: responder only. */
  readonly roles: readonly Role[]
  /**
   * IP addresses that may connect (FCGI_WEB_SERVER_ADDRS, FastCGI §3.2); with any, peers without an IP
   * address are refused too. Undefined, the default: everyone.
   */
  readonly webServerAddresses: readonly string[] | undefined
  /** Takes one line, without its end, about what a peer did wrong. Default: stderr. */
  readonly log: (line: string) => void
}

/** Every setting may be left out. */
export type ResponderOptions = {
  readonly [Name in keyof ResponderSettings]?: ResponderSettings[Name]
}

const MiB = 1024 * 1024

/** The settings with their defaults. @throws RangeError that names a setting which is not a whole number above 0 */
export function responderSettings(options: ResponderOptions): ResponderSettings {
  const { maxConnections = 1024, maxRequests = 1024, multiplex = true } = options
  const { maxParamsBytes = MiB, maxBufferedBytes = MiB, roles = ['responder'] } = options
  const { webServerAddresses, log = logToStderr } = options
  refuseLimits({ maxConnections, maxRequests, maxParamsBytes, maxBufferedBytes })
  return {
    ...{ maxConnections, maxRequests, multiplex, maxParamsBytes, maxBufferedBytes, roles, log },
    webServerAddresses,
  }
}
