/**
 * What an SCGI responder may be told: types, defaults, and one gate that refuses what makes no sense.
 *
 * Every number here bounds something a web server, or the client behind it, could lengthen. Sizes end in
 * `Bytes`, times in `Ms`. A setting must have a user today.
 */
import { type AppListenerSettings, logToStderr, refuseLimits } from '../cgi/app-listener.js'
import { defaultMaxHeadBytes } from './request.js'

export interface ScgiResponderSettings extends AppListenerSettings {
  /** Connections, and so requests, at once; further ones are closed. Default 1024. */
  readonly maxConnections: number
  /** Bytes of the variables of a request, in their netstring; more close the connection. Default 64 KiB. */
  readonly maxHeadBytes: number
  /** Bytes of a body kept for a handler that does not read it; beyond, the connection waits. Default 1 MiB. */
  readonly maxBufferedBytes: number
  /**
   * Milliseconds that a peer may take for its variables, and, once answered, to close while it still sends a
   * body that nobody reads. Default 30 s.
   */
  readonly peerTimeoutMs: number
  /** IP addresses that may connect; with any, peers without an IP address are refused too. Default: everyone. */
  readonly webServerAddresses: readonly string[] | undefined
  /**
   * Takes one line, without its end, about what a peer did wrong; and, since SCGI has no way to the web
   * server's log, the stack of a handler that failed. Default: stderr.
   */
  readonly log: (line: string) => void
}

/** Every setting may be left out. */
export type ScgiResponderOptions = {
  readonly [Name in keyof ScgiResponderSettings]?: ScgiResponderSettings[Name]
}

const MiB = 1024 * 1024

/** The settings with their defaults. @throws RangeError that names a setting which is not a whole number above 0 */
export function scgiResponderSettings(options: ScgiResponderOptions): ScgiResponderSettings {
  const { maxConnections = 1024, maxHeadBytes = defaultMaxHeadBytes } = options
  const { maxBufferedBytes = MiB, peerTimeoutMs = 30_000 } = options
  const { webServerAddresses, log = logToStderr } = options
  const limits = { maxConnections, maxHeadBytes, maxBufferedBytes, peerTimeoutMs }
  refuseLimits(limits)
  return { ...limits, webServerAddresses, log }
}
