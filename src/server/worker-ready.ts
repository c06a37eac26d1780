/**
 * Whether a FastCGI worker of ours has begun to take connections.
 *
 * It is asked FCGI_GET_VALUES (FastCGI §4.1) once and patiently: a program that takes seconds to load would
 * otherwise find a heap of dead questions in its backlog. Any answer will do, and a connection that it
 * closes as well: not every program knows the question, but only one that runs can refuse it.
 */
import { connect } from 'node:net'
import { encodeValues } from '../fastcgi/record.js'
import type { Address } from '../upstream/address.js'

const question = encodeValues('getValues', [['FCGI_MAX_CONNS', '']])

/**
 * Settles when the worker has answered or hung up.
 * @throws Error when nobody listens, or the reason of the signal
 */
export function workerReady(address: Address, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const socket =
      address.kind === 'unix' ? connect(address.path) : connect(address.port, address.host)
    let connected = false
    const settle = (error?: unknown): void => {
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      if (error === undefined) resolve()
      else reject(error)
    }
    const onAbort = (): void => settle(signal.reason)
    signal.addEventListener('abort', onAbort)
    socket.on('connect', () => {
      connected = true
      socket.write(question)
    })
    socket.on('data', () => settle())
    socket.on('end', () => settle())
    // Closed with our question unread: the system says so with an error.
    socket.on('error', error => settle(connected ? undefined : error))
  })
}
