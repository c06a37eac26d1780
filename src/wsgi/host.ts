/**
 * How the WSGI host (`host.py`, a program of its own) is started: the only place that knows its flags.
 *
 * As a worker it gets them as arguments, as a CGI program as variables, since arguments of a CGI program may be
 * the client's (RFC 3875 §4.4).
 */
import { fileURLToPath } from 'node:url'
import type { WsgiRouteConfig } from './options.js'

/** Absolute path of the host. */
export const hostProgram = fileURLToPath(new URL('host.py', import.meta.url))

/** Prints all Python stacks on stderr; the host registers it. */
export const stackDumpSignal = 'SIGUSR1' as const

/** Processes that have the application, unless the route says how many. */
export const defaultWsgiWorkers = 2

/** Program and arguments of a worker. @param dev the host is strict with the application (I-11) */
export function workerCommand(
  route: Pick<WsgiRouteConfig, 'application' | 'python' | 'threads' | 'multiprocess'>,
  dev: boolean,
): readonly string[] {
  const { application, python, threads, multiprocess } = route
  return [
    ...[python, hostProgram, application, '--threads', String(threads)],
    ...['--processes', multiprocess ? '2' : '1', ...(dev ? ['--dev'] : [])],
  ]
}

/** Variables that make the host answer one CGI request. */
export function cgiVariables(
  { application, directory, requestBody }: WsgiRouteConfig,
  dev: boolean,
): Readonly<Record<string, string>> {
  return {
    POSTERN_WSGI_APPLICATION: application,
    POSTERN_WSGI_DIRECTORY: directory,
    ...(requestBody === 'stream' ? { POSTERN_WSGI_STREAM: '1' } : {}),
    ...(dev ? { POSTERN_WSGI_DEV: '1' } : {}),
  }
}
