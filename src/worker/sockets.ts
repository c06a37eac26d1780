/**
 * Where workers listen: each on a unix socket of its own, or all on one shared socket.
 *
 * Own sockets lie in a private folder below the temporary one, and this process closes its copy as soon
 * as the worker has it: when the worker dies, the system refuses at once who still waits in its backlog.
 * The shared socket is for foreign web servers; it stays open here, so that none of them is ever refused.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ListenSocket, openListenSocket } from '../process/listen-socket.js'
import type { Address } from '../upstream/address.js'

/** What workers are to listen on. */
export type WorkersListen =
  | { readonly kind: 'own' }
  | { readonly kind: 'shared'; readonly address: Address }

/** The socket of one worker. */
export interface WorkerSocket {
  readonly fd: number
  readonly address: Address
  /** The worker has its copy. */
  handedOver(): void
  /** The worker is gone. */
  close(): void
}

/** The sockets of one group of workers. */
export interface WorkerSockets {
  /** The shared address, with its real port. */
  readonly address: Address | undefined
  /** Opens the socket of one more worker. */
  open(): Promise<WorkerSocket>
  /** Whether a connection waits at the shared socket. */
  waiting(): boolean
  /** Closes and removes everything. */
  close(): void
}

/** A gateway has one connection per place of a worker; whoever is beyond that has no business here. */
const ownBacklog = 128
const sharedBacklog = 1024

/** @throws ListenError where the shared socket cannot be had, Error where this machine cannot open one. */
export async function openWorkerSockets(listen: WorkersListen): Promise<WorkerSockets> {
  return listen.kind === 'own' ? ownSockets() : sharedSocket(listen.address)
}

function ownSockets(): WorkerSockets {
  // 0700, by mkdtemp's promise.
  const folder = mkdtempSync(join(tmpdir(), 'postern-'))
  let count = 0
  return {
    address: undefined,
    open: async () => {
      const path = join(folder, `${++count}.sock`)
      const socket = await openListenSocket(
        { kind: 'unix', path },
        { backlog: ownBacklog, mode: 0o600 },
      )
      const { fd, address } = socket
      return { fd, address, handedOver: () => socket.release(), close: () => socket.close() }
    },
    waiting: () => false,
    close: () => rmSync(folder, { recursive: true, force: true }),
  }
}

async function sharedSocket(address: Address): Promise<WorkerSockets> {
  const socket: ListenSocket = await openListenSocket(address, {
    backlog: sharedBacklog,
    // The web server is often another user of the same group.
    mode: 0o660,
  })
  const each: WorkerSocket = {
    fd: socket.fd,
    address: socket.address,
    handedOver: () => {},
    close: () => {},
  }
  return {
    address: socket.address,
    open: async () => each,
    waiting: () => socket.waiting(),
    close: () => socket.close(),
  }
}
