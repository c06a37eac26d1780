/**
 * How this process was started, and how it ends: the one place of the library that looks at descriptor 0,
 * the environment and signals.
 *
 * A web server that spawns an application gives it the listening socket as descriptor 0 (FastCGI §2.2, and
 * SCGI as lighttpd does it); one that runs a CGI program sets GATEWAY_INTERFACE and REQUEST_METHOD (RFC 3875 §4.1).
 */
import { fstatSync, writeSync } from 'node:fs'
import { fromText } from '../byte-string.js'
import type { ByteString } from '../gateway.js'

/** By what kind of web server; undefined: by somebody else. */
export type Start = 'socket' | 'cgi' | undefined

/** Looks at descriptor 0 and the environment. */
export function howStarted(): Start {
  if (listensOnStdin()) return 'socket'
  const { GATEWAY_INTERFACE, REQUEST_METHOD } = process.env
  return GATEWAY_INTERFACE !== undefined && REQUEST_METHOD !== undefined ? 'cgi' : undefined
}

/** FCGI_WEB_SERVER_ADDRS (FastCGI §3.2): who may connect; undefined when it is not set. */
export function webServerAddresses(): readonly string[] | undefined {
  const list = process.env.FCGI_WEB_SERVER_ADDRS
  return list === undefined || list.trim() === '' ? undefined : list.split(',')
}

/** The variables of a CGI request, one character per byte. */
export function environmentVariables(): Map<ByteString, ByteString> {
  const variables = new Map<ByteString, ByteString>()
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined) variables.set(fromText(name), fromText(value))
  }
  return variables
}

/** On TERM, `close` and then exit with status 0, which says that the end was on purpose (FastCGI §2.2). */
export function exitOnTerm(close: () => Promise<void>): void {
  process.once('SIGTERM', () => void close().then(() => process.exit(0)))
}

/** Ends the process: a program that has answered its one CGI request may still hold timers and connections. */
export function exit(status: number): void {
  process.exit(status)
}

/**
 * Whether descriptor 0 is a socket without a peer: FastCGI asks getpeername for that (ENOTCONN), which Node
 * does not offer. A write of no bytes changes nothing and fails the same way: ENOTCONN on a listening unix
 * socket, EPIPE on a listening TCP one; on a connected socket it succeeds.
 */
function listensOnStdin(): boolean {
  try {
    if (!fstatSync(0).isSocket()) return false
    writeSync(0, Buffer.alloc(0))
    return false
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    return code === 'ENOTCONN' || code === 'EPIPE'
  }
}
