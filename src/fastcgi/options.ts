/**
 * What a fastcgi route needs to know: types and defaults, complete and read-only.
 *
 * Times end in `Ms`, sizes in `Bytes`, 0 is no limit of time. `server/config-fastcgi.ts` fills it from
 * `postern.yaml`. A setting must have a user today.
 */
import {
  type BackendTimeouts,
  defaultBackendTimeouts,
  defaultProgramRoute,
  type ProgramRouteConfig,
} from '../cgi/options.js'
import type { Address } from '../upstream/address.js'

/** Programs that run already, or workers of our own. */
export type FastCgiBackend<Workers = unknown> =
  | { readonly kind: 'addresses'; readonly addresses: readonly Address[] }
  | { readonly kind: 'workers'; readonly workers: Workers }

/** A FastCGI application: one for the whole prefix, or one that runs files (`split`). */
export interface FastCgiRouteConfig<Workers = unknown> extends ProgramRouteConfig {
  readonly kind: 'fastcgi'
  readonly backend: FastCgiBackend<Workers>
  /** Requests at once behind each address; undefined: what the probe says, else 8 (1 for workers of ours). */
  readonly capacity: number | undefined
  /** Ask FCGI_GET_VALUES on a connection of its own before the first request (L-4: some workers die of it). */
  readonly probe: boolean
  /** Send ABORT_REQUEST when the client leaves (G-17); a connection that is not shared is closed after the grace. */
  readonly sendAbort: boolean
  readonly role: 'responder' | 'filter'
  /** Absolute folder of the files; undefined: no files, the application has the whole prefix. */
  readonly root: string | undefined
  /** Names of scripts and files tried for a directory, with `root`. */
  readonly index: readonly string[]
  /** Suffix that ends the script in a path (`.php`); undefined without files. */
  readonly split: string | undefined
  /** Follow a Location without a host ourselves (RFC 3875 §6.2.2); by default it is the client's (E-12). */
  readonly localRedirects: boolean
  readonly timeouts: BackendTimeouts
  /**
   * A status other than 0 in END_REQUEST, with STDOUT not ended, breaks the answer off; otherwise it only is a
   * warning (G-13). Hosts of our own say so that the answer is not whole, and need not close the connection.
   */
  readonly statusBreaksOff: boolean
  /** Every record both ways goes to the log. */
  readonly trace: boolean
}

/** A fastcgi route with every default; path and backend are the caller's. */
export const defaultFastCgiRoute: Omit<FastCgiRouteConfig, 'path' | 'backend'> = {
  ...defaultProgramRoute,
  kind: 'fastcgi',
  capacity: undefined,
  probe: false,
  sendAbort: true,
  role: 'responder',
  root: undefined,
  index: [],
  split: undefined,
  localRedirects: false,
  timeouts: defaultBackendTimeouts,
  statusBreaksOff: false,
  trace: false,
}
