/**
 * Why an address could not be had, in one line that names who asked for it and what to do.
 *
 * Node says which system call failed; this file says which setting was meant.
 */
import { describeListen } from '../server/address.js'
import type { ListenAddress } from '../server/config.js'
import { ConfigError, type SettingPlace } from '../server/config-error.js'
import type { Settings } from './settings.js'

/** What Node tells about a failed `listen`; of the kind that crosses process borders. */
export interface ListenFailure {
  readonly code: string
  /** Host, or path of the socket. */
  readonly address: string | undefined
  readonly port: number | undefined
}

/** The failure in an error of `startServer`, or undefined when it is of another kind. */
export function listenFailureOf(error: unknown): ListenFailure | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return undefined
  if (!['listen', 'bind', 'getaddrinfo'].includes(String(error.syscall))) return undefined
  const address =
    'address' in error ? error.address : 'hostname' in error ? error.hostname : undefined
  return {
    code: String(error.code),
    address: typeof address === 'string' ? address : undefined,
    port: 'port' in error && typeof error.port === 'number' ? error.port : undefined,
  }
}

/** The error for the user: the place that named the address, and the remedy. */
export function explainListenFailure(
  failure: ListenFailure,
  { config, listenPlaces }: Pick<Settings, 'config' | 'listenPlaces'>,
): ConfigError {
  const index = Math.max(0, indexOfAddress(failure, config.listen))
  const address = config.listen[index]
  const place: SettingPlace = listenPlaces[index] ?? { builtIn: true }
  if (address === undefined) return new ConfigError(place, failure.code, 'correct listen')
  const { problem, remedy } = explain(failure.code, address)
  return new ConfigError(place, `${describeListen(address)} ${problem}`, remedy)
}

function indexOfAddress(failure: ListenFailure, listen: readonly ListenAddress[]): number {
  const matches = (address: ListenAddress, withHost: boolean): boolean => {
    if (address.kind === 'unix') return address.path === failure.address
    if (failure.port !== undefined && address.port !== failure.port) return false
    return !withHost || address.host === failure.address
  }
  // A host name has become an address by now; then the port has to do.
  const exact = listen.findIndex(address => matches(address, true))
  return exact === -1 ? listen.findIndex(address => matches(address, false)) : exact
}

function explain(code: string, address: ListenAddress): { problem: string; remedy: string } {
  if (address.kind === 'unix') return explainSocket(code)
  const other = address.port < 65_535 ? address.port + 1 : 8000
  switch (code) {
    case 'EADDRINUSE':
      return {
        problem: 'is taken by another process',
        remedy: `use -p ${other}, or stop that process`,
      }
    case 'EACCES':
    case 'EPERM':
      return {
        problem: 'may not be used: ports below 1024 need a privilege',
        remedy: 'use -p 8000, or give Postern the capability CAP_NET_BIND_SERVICE',
      }
    case 'EADDRNOTAVAIL':
      return {
        problem: 'is not an address of this machine',
        remedy: 'use --host 127.0.0.1, or 0.0.0.0 for all addresses',
      }
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return {
        problem: 'is a name that does not resolve',
        remedy: 'use --host 127.0.0.1, or correct the name',
      }
    default:
      return {
        problem: `cannot be listened on (${code})`,
        remedy: `use another, for example -p ${other}`,
      }
  }
}

function explainSocket(code: string): { problem: string; remedy: string } {
  switch (code) {
    case 'EADDRINUSE':
      return {
        problem: 'is in use by another process, or something else is at this path',
        remedy: 'stop that process, remove the file, or name another path',
      }
    // libuv says EACCES for ENOENT here.
    case 'ENOENT':
    case 'EACCES':
    case 'EPERM':
      return {
        problem: 'cannot be made: its folder does not exist or may not be written',
        remedy: 'create it, change its permissions, or name another path',
      }
    default:
      return { problem: `cannot be listened on (${code})`, remedy: 'name another path' }
  }
}
