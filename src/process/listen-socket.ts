/**
 * Opens a listening socket for programs that accept on their descriptor 0 (FastCGI §2.2).
 *
 * Through FFI, since the sockets of node:net are non-blocking and that travels with the descriptor: the
 * accept of libfcgi fails on one. It closes on exec; a spawner hands it to a child as descriptor 0.
 * A unix socket gets its mode before anybody can connect; one that was left behind is replaced.
 */

import { lookup } from 'node:dns/promises'
import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { closeOnExec, errnoName, loadSocketCalls, type SocketCalls } from './libc.js'

/** A TCP address, or the path of a unix socket. */
export type ListenPlace =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export interface ListenSocketOptions {
  /** Connections that wait for an accept; the system cuts it to its own limit. */
  readonly backlog: number
  /** Permissions of a unix socket. */
  readonly mode: number
}

/** An open listening socket. */
export interface ListenSocket {
  /** Blocking; stays open until `close`. */
  readonly fd: number
  /** Where it listens, with the real port when 0 was asked for. */
  readonly address: ListenPlace
  /** Whether a connection waits that nobody has accepted. */
  waiting(): boolean
  /** Gives the descriptor up and leaves the socket to the programs that have it. */
  release(): void
  /** Closes the descriptor and removes the socket's file. */
  close(): void
}

/** A socket that cannot be had; the fields are those of Node's own errors. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  /** `EADDRINUSE`, `EACCES`, `ENOENT`, `ENAMETOOLONG`, `ENOTFOUND`… */
  readonly code: string
  readonly syscall = 'listen'
  /** Host or path. */
  readonly address: string
  readonly port: number | undefined

  constructor(code: string, place: ListenPlace) {
    super(`cannot listen on ${describe(place)}: ${code}`)
    this.code = code
    this.address = place.kind === 'unix' ? place.path : place.host
    this.port = place.kind === 'unix' ? undefined : place.port
  }
}

const unixFamily = 1
const inetFamily = 2
const inet6Family = 10
const streamType = 1
const socketLevel = 1
const reuseAddress = 2
/** sun_path holds 108 bytes with the closing NUL. */
const longestPathBytes = 107
const longestAddressBytes = 128
const pollIn = 1

/**
 * Opens the socket and listens.
 * @throws ListenError, or Error where the C library cannot be called
 */
export async function openListenSocket(
  place: ListenPlace,
  options: ListenSocketOptions,
): Promise<ListenSocket> {
  const calls = await loadSocketCalls()
  if (place.kind === 'tcp') return openTcp(calls, place, options)
  if (Buffer.byteLength(place.path) > longestPathBytes) throw new ListenError('ENAMETOOLONG', place)
  try {
    return openUnix(calls, place, options)
  } catch (error) {
    if (!(error instanceof ListenError) || error.code !== 'EADDRINUSE') throw error
    if (!(await isStale(place.path))) throw error
    unlinkSync(place.path)
    return openUnix(calls, place, options)
  }
}

type Of<Kind extends ListenPlace['kind']> = Extract<ListenPlace, { kind: Kind }>

function openUnix(
  calls: SocketCalls,
  place: Of<'unix'>,
  { backlog, mode }: ListenSocketOptions,
): ListenSocket {
  const fd = newSocket(calls, unixFamily, place)
  let bound = false
  try {
    const name = Buffer.from(`\x01\0${place.path}\0`)
    demand(calls, place, calls.bind(fd, name, name.length))
    bound = true
    // Nobody gets in before `listen`.
    chmodSync(place.path, mode)
    demand(calls, place, calls.listen(fd, backlog))
    const { ino, dev, mtimeMs } = lstatSync(place.path)
    return openSocket(calls, fd, place, () => {
      const found = lstatSync(place.path, { throwIfNoEntry: false })
      // Inode numbers come back at once: the time tells a successor's socket from ours.
      const ours = found?.ino === ino && found.dev === dev && found.mtimeMs === mtimeMs
      if (ours) unlinkSync(place.path)
    })
  } catch (error) {
    calls.close(fd)
    if (bound) unlinkSync(place.path)
    throw error
  }
}

async function openTcp(
  calls: SocketCalls,
  place: Of<'tcp'>,
  { backlog }: ListenSocketOptions,
): Promise<ListenSocket> {
  const { address, family } = await lookup(place.host).catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'ENOTFOUND'
    throw new ListenError(code, place)
  })
  const name = inetName(calls, family, address, place)
  const fd = newSocket(calls, family === 6 ? inet6Family : inetFamily, place)
  try {
    calls.setsockopt(fd, socketLevel, reuseAddress, new Int32Array([1]), 4)
    demand(calls, place, calls.bind(fd, name, name.length))
    demand(calls, place, calls.listen(fd, backlog))
    const actual = Buffer.alloc(longestAddressBytes)
    demand(calls, place, calls.getsockname(fd, actual, new Int32Array([actual.length])))
    return openSocket(calls, fd, { ...place, port: actual.readUInt16BE(2) }, () => {})
  } catch (error) {
    calls.close(fd)
    throw error
  }
}

/** struct sockaddr_in or sockaddr_in6. */
function inetName(calls: SocketCalls, family: number, host: string, place: Of<'tcp'>): Buffer {
  const [number, bytes, at] = family === 6 ? [inet6Family, 28, 8] : [inetFamily, 16, 4]
  const name = Buffer.alloc(bytes)
  name.writeUInt16LE(number, 0)
  name.writeUInt16BE(place.port, 2)
  if (calls.inetPton(number, host, name.subarray(at)) !== 1) {
    throw new ListenError('EADDRNOTAVAIL', place)
  }
  return name
}

function newSocket(calls: SocketCalls, family: number, place: ListenPlace): number {
  const fd = calls.socket(family, streamType | closeOnExec, 0)
  demand(calls, place, fd)
  return fd
}

function demand(calls: SocketCalls, place: ListenPlace, result: number): void {
  if (result < 0) throw new ListenError(errnoName(calls.errno()), place)
}

function openSocket(
  calls: SocketCalls,
  fd: number,
  address: ListenPlace,
  remove: () => void,
): ListenSocket {
  const descriptor = Buffer.alloc(8)
  let open = true
  const release = (): void => {
    if (open) calls.close(fd)
    open = false
  }
  let removed = false
  return {
    fd,
    address,
    waiting: () => {
      if (!open) return false
      descriptor.writeInt32LE(fd, 0)
      descriptor.writeInt32LE(pollIn, 4)
      return calls.poll(descriptor, 1, 0) > 0
    },
    release,
    close: () => {
      release()
      if (!removed) remove()
      removed = true
    },
  }
}

/** A socket file that nobody listens on; anything else at the path is left alone. */
async function isStale(path: string): Promise<boolean> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return false
  return new Promise(resolve => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(false)
    })
    // A full backlog fails too, with EAGAIN: somebody is there.
    probe.once('error', error => resolve('code' in error && error.code === 'ECONNREFUSED'))
  })
}

function describe(place: ListenPlace): string {
  if (place.kind === 'unix') return `unix:${place.path}`
  return place.host.includes(':') ? `[${place.host}]:${place.port}` : `${place.host}:${place.port}`
}
