/**
 * uWSGI with a WSGI application, as a peer: started by the test on a unix socket, in the protocol that it asks
 * for, and killed in teardown.
 */
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { Address } from '../../src/upstream/address.js'
import { startProcess } from './fastcgi-process.js'
import { peer } from './peers.js'
import { tempRoot } from './temp-root.js'
import { waitFor } from './wait-for.js'

/** The option of uWSGI that opens a socket, which names the protocol. */
export type UwsgiSocket = 'socket' | 'scgi-socket' | 'fastcgi-socket'

/** The WSGI application of `test/fixtures/programs/uwsgi/behaviours.py`. */
export const wsgiBehaviours = fileURLToPath(
  new URL('../fixtures/programs/uwsgi/behaviours.py', import.meta.url),
)

/** Absolute path of uWSGI with Python built in or loaded, or undefined after the test was told to skip. */
export function uwsgiProgram(t: Test): string | undefined {
  return peer(t, 'uwsgi_python3')
}

/** Starts two workers; answers their address once connections are accepted. */
export async function startUwsgi(
  t: Test,
  program: string,
  socket: UwsgiSocket,
  options: readonly string[] = [],
): Promise<Address> {
  const path = join(tempRoot(t).path, 'uwsgi.sock')
  const places = [`--${socket}`, path, '--wsgi-file', wsgiBehaviours]
  const standard = ['--master', '--processes', '2', '--need-app', '--disable-logging']
  const log = join(tempRoot(t).path, 'uwsgi.log')
  startProcess(t, [program, '--die-on-term', ...standard, '--logto', log, ...places, ...options])
  await waitFor('uWSGI accepts', () => accepts(path), 20_000)
  return { kind: 'unix', path }
}

/** Whether somebody accepts connections on a unix socket. */
export function accepts(path: string): Promise<true | undefined> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.on('error', () => resolve(undefined))
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}
