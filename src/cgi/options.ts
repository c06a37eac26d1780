/**
 * What a CGI route needs to know: types and defaults, complete and read-only.
 *
 * Times end in `Ms`, sizes in `Bytes`, 0 is no limit of time. Read by the gateway and the script finder;
 * `server/config-file.ts` fills it from `postern.yaml`. A setting must have a user today.
 */
import type { Address } from '../upstream/address.js'

/** Variables for programs: `set` wins over everything, `pass` names variables of the server's own environment. */
export interface EnvConfig {
  readonly set: Readonly<Record<string, string>>
  readonly pass: readonly string[]
}

/** Time limits on a program. 0: none. */
export interface ProgramTimeouts {
  readonly firstByteMs: number
  /** Longest pause between reads or writes. */
  readonly idleMs: number
  readonly totalMs: number
  /** From TERM to KILL. */
  readonly graceMs: number
}

/** Time limits on a program behind an address. 0: none. */
export interface BackendTimeouts extends ProgramTimeouts {
  readonly connectMs: number
}

export interface RouteLimits {
  readonly bodyBytes: number
  readonly responseHeadBytes: number
  /** Number of header fields that a program may print. */
  readonly responseHeaderCount: number
  /** stderr kept per request; the rest is drained and dropped. */
  readonly stderrBytes: number
  /** A body without length is held in memory up to this size, in a temporary file beyond. */
  readonly spoolMemoryBytes: number
}

export interface QueueConfig {
  /** Requests that may wait. */
  readonly length: number
  readonly waitMs: number
}

/** What every route with a program behind it has, whatever protocol the program speaks. */
export interface ProgramRouteConfig {
  /** Path prefix, begins and ends with `/`. */
  readonly path: string
  /** Global and route settings merged; the route wins. */
  readonly env: EnvConfig
  readonly passAuthorization: boolean
  readonly queue: QueueConfig
  readonly timeouts: ProgramTimeouts
  readonly limits: RouteLimits
  /** `spool`: a chunked body is counted first, CONTENT_LENGTH is set. `stream`: it goes straight to stdin, without. */
  readonly requestBody: 'spool' | 'stream'
  readonly encodedSlash: 'reject' | 'decode' | 'keep'
  readonly ambiguousHeaders: 'drop' | 'reject' | 'allow'
  /** A program that prints `Transfer-Encoding: chunked` has its chunks decoded. */
  readonly decodeChunked: boolean
  /** Methods allowed; undefined: every one. */
  readonly methods: readonly string[] | undefined
  /** Absolute folders from which X-Sendfile may send; empty: the header is an ordinary one. */
  readonly sendfile: readonly string[]
  /** A FastCGI authorizer that is asked before each request (conventions G-22); undefined: nobody is. */
  readonly authorize: Address | undefined
}

/** A route to programs that run already, whatever protocol they speak. */
export interface AddressRouteConfig extends ProgramRouteConfig {
  readonly addresses: readonly Address[]
  /** Requests at once behind each address. */
  readonly capacity: number
  readonly timeouts: BackendTimeouts
}

/** A directory of scripts, or one program for the whole prefix. */
export interface CgiRouteConfig extends ProgramRouteConfig {
  readonly kind: 'cgi'
  /** Absolute path of the directory or program. */
  readonly target: string
  /** `true`: one program answers the whole prefix. */
  readonly program: boolean
  /** File name suffix (`.py`) → interpreter, resolved on PATH when it has no slash. */
  readonly interpreters: Readonly<Record<string, string>>
  /** Python and Perl scripts are forked from an interpreter that is loaded already. */
  readonly warm: boolean
  /** Script names tried for a directory. */
  readonly index: readonly string[]
  /** `git`: Git-Protocol becomes GIT_PROTOCOL as well. */
  readonly preset: 'git' | undefined
  /** Programs at once. */
  readonly processes: number
  readonly symlinks: 'inside' | 'follow' | 'refuse'
  /** All of stdout is the body; no headers are expected. */
  readonly plainOutput: boolean
  /** Working directory: of the script (RFC 3875 §7.2), or this absolute one. */
  readonly cwd: string | undefined
}

const KiB = 1024
const MiB = 1024 * KiB

/** Limits of a route unless the config says otherwise. */
export const defaultRouteLimits: RouteLimits = {
  bodyBytes: 1024 * MiB,
  responseHeadBytes: 32 * KiB,
  responseHeaderCount: 100,
  stderrBytes: 64 * KiB,
  spoolMemoryBytes: 256 * KiB,
}

/** What all kinds of routes have in common, with every default. */
export const defaultProgramRoute: Omit<ProgramRouteConfig, 'path'> = {
  env: { set: {}, pass: [] },
  passAuthorization: false,
  queue: { length: 256, waitMs: 10_000 },
  timeouts: { firstByteMs: 60_000, idleMs: 60_000, totalMs: 0, graceMs: 3_000 },
  limits: defaultRouteLimits,
  requestBody: 'spool',
  encodedSlash: 'reject',
  ambiguousHeaders: 'drop',
  decodeChunked: false,
  methods: undefined,
  sendfile: [],
  authorize: undefined,
}

/** Requests at once behind an address of which nothing is known. */
export const defaultCapacity = 8

export const defaultBackendTimeouts: BackendTimeouts = {
  connectMs: 5_000,
  ...defaultProgramRoute.timeouts,
}

/** What routes to programs that run already have in common, with every default. */
export const defaultAddressRoute: Omit<AddressRouteConfig, 'path' | 'addresses'> = {
  ...defaultProgramRoute,
  capacity: defaultCapacity,
  timeouts: defaultBackendTimeouts,
}

/** A cgi route with every default; the path, target and `program` are the caller's. */
export const defaultCgiRoute: Omit<CgiRouteConfig, 'path' | 'target' | 'program'> = {
  ...defaultProgramRoute,
  kind: 'cgi',
  interpreters: {},
  warm: false,
  index: [],
  preset: undefined,
  processes: 64,
  symlinks: 'inside',
  plainOutput: false,
  cwd: undefined,
}
