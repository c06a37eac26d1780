/**
 * Whether a FastCGI worker of ours has begun to take connections.
 *
 * It is asked FCGI_GET_VALUES (FastCGI §4.1) once and patiently: a program that takes seconds to load would
 * otherwise find a heap of dead questions in its backlog. Any answer will do, and a connection that is
 * closed after the question was read: not every program knows it, but only one that runs reads it.
 */
import { connect } from 'node:net'
import { encodeValues } from '../fastcgi/record.js'
import type { Address } from '../upstream/address.js'

// One name, and not any: libfcgi answers no question whose record needs no padding, it waits for more.
const question = encodeValues('getValues', [['FCGI_MPXS_CONNS', '']])

/**
 * Settles when the worker has answered, or has read the question and hung up.
 * @throws Error when nobody listens or nobody reads, or the reason of the signal
 */
export function workerReady(address: Address, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const socket =
      address.kind === 'unix' ? connect(address.path) : connect(address.port, address.host)
    const settle = (error?: unknown): void => {
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      if (error === undefined) resolve()
      else reject(error)
    }
    const onAbort = (): void => settle(signal.reason)
    signal.addEventListener('abort', onAbort)
    socket.on('data', () => settle())
    socket.on('end', () => settle())
    // ECONNRESET: closed with our question unread, as by a program that dies before it takes connections.
    socket.on('error', settle)
    socket.write(question)
  })
}
