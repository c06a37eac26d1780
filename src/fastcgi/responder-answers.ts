/**
 * What a responder answers by itself, from its settings and its load: which roles it takes, why a request is
 * turned away, and what it tells of its limits (FastCGI §4.1, §5.1, §5.5; conventions G-43 to G-47).
 *
 * Pure.
 */
import type { ByteString } from '../gateway.js'
import { encodeValues, protocolStatus, type Role, role as roleCodes } from './record.js'
import type { ResponderLimits, ResponderSettings } from './responder-options.js'

/** The role of a BEGIN_REQUEST, or undefined for a code that the specification does not have. */
export function roleOf(code: number): Role | undefined {
  switch (code) {
    case roleCodes.responder:
      return 'responder'
    case roleCodes.authorizer:
      return 'authorizer'
    case roleCodes.filter:
      return 'filter'
    default:
      return undefined
  }
}

/** What is going on when a request begins. */
export interface ResponderLoad {
  readonly settings: ResponderSettings
  /** Requests at once, over all connections. */
  readonly active: number
  /** No new requests. */
  readonly closing: boolean
}

/**
 * The protocolStatus with which a request is turned away; undefined: it is taken.
 * @param onConnection requests at once on its connection
 */
export function refusalOf(
  role: Role,
  load: ResponderLoad,
  onConnection: number,
): number | undefined {
  const { settings, active, closing } = load
  if (!settings.roles.includes(role)) return protocolStatus.unknownRole
  if (!settings.multiplex && onConnection > 0) return protocolStatus.cannotMultiplex
  return closing || active >= settings.maxRequests ? protocolStatus.overloaded : undefined
}

/** GET_VALUES_RESULT with the values that were asked for and are known. */
export function encodeKnownValues(
  asked: readonly (readonly [name: ByteString, value: ByteString])[],
  limits: ResponderLimits,
): Buffer {
  const known: readonly (readonly [ByteString, ByteString])[] = [
    ['FCGI_MAX_CONNS', String(limits.maxConnections)],
    ['FCGI_MAX_REQS', String(limits.maxRequests)],
    ['FCGI_MPXS_CONNS', limits.multiplex ? '1' : '0'],
  ]
  const names = new Set(asked.map(([name]) => name))
  return encodeValues(
    'getValuesResult',
    known.filter(([name]) => names.has(name)),
  )
}
