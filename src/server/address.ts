/**
 * Addresses as people write them: `8000`, `127.0.0.1:8000`, `[::1]:8000`, `unix:/run/x.sock`.
 *
 * The same text serves `listen`, the flags and the addresses of gateways (which may begin with `tcp:`).
 * Pure: a relative socket path is resolved by whoever knows the folder.
 */
import { isIPv6 } from 'node:net'
import type { ListenAddress } from './config.js'

/** sun_path holds 108 bytes on Linux with the closing NUL; a longer one is cut or refused by the system. */
export const longestSocketPath = 107

const hostName = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?$/
const bracketed = /^\[(.+)\]$/

/** Where to listen, or undefined; a bare port means 127.0.0.1. */
export function parseListen(value: unknown): ListenAddress | undefined {
  if (typeof value === 'number') return tcp('127.0.0.1', value)
  if (typeof value !== 'string') return undefined
  if (/^\d+$/.test(value)) return tcp('127.0.0.1', Number(value))
  if (value.startsWith('unix:')) return unixSocket(value.slice('unix:'.length))
  return hostAndPort(value)
}

/** The address of a gateway: `unix:/path`, `tcp:host:port` or `host:port`; never port 0. */
export function parseAddress(value: unknown): ListenAddress | undefined {
  if (typeof value !== 'string') return undefined
  const address = value.startsWith('tcp:')
    ? hostAndPort(value.slice('tcp:'.length))
    : value.startsWith('unix:')
      ? unixSocket(value.slice('unix:'.length))
      : hostAndPort(value)
  return address?.kind === 'tcp' && address.port === 0 ? undefined : address
}

/** An HTTP server: `http://host:port` (80 without a port), or the address of a gateway. */
export function parseHttpAddress(value: unknown): ListenAddress | undefined {
  if (typeof value !== 'string' || !value.startsWith('http://')) return parseAddress(value)
  const authority = value.slice('http://'.length).replace(/\/$/, '')
  return parseAddress(authority) ?? parseAddress(`${authority}:80`)
}

/** A host name or address without its brackets, or undefined when it is neither. */
export function parseHost(text: string): string | undefined {
  const inside = bracketed.exec(text)?.[1] ?? text
  if (isIPv6(inside)) return inside
  return inside === text && hostName.test(text) ? text : undefined
}

/** `host:port` with brackets where IPv6 needs them, or `unix:/path`. */
export function describeListen(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `${host}:${address.port}`
}

function hostAndPort(text: string): ListenAddress | undefined {
  const colon = text.lastIndexOf(':')
  const port = text.slice(colon + 1)
  if (colon < 1 || !/^\d+$/.test(port)) return undefined
  const written = text.slice(0, colon)
  // `::1:8000` could be read in two ways; only brackets say which.
  if (written.includes(':') && !bracketed.test(written)) return undefined
  const host = parseHost(written)
  return host === undefined ? undefined : tcp(host, Number(port))
}

function tcp(host: string, port: number): ListenAddress | undefined {
  return Number.isInteger(port) && port >= 0 && port <= 65_535
    ? { kind: 'tcp', host, port }
    : undefined
}

function unixSocket(path: string): ListenAddress | undefined {
  if (path === '' || path.includes('\0')) return undefined
  return { kind: 'unix', path }
}
