/**
 * Messages to and from a fork server: one datagram each on a SOCK_SEQPACKET pair, words with NUL between them.
 *
 * To it: `start SLOT SCRIPT CWD INPUT COUNT ARGUMENT… VARIABLE…` with three descriptors (SCM_RIGHTS), `reap SLOT PID`;
 * INPUT is `none`, `pipe` or `file`. From it or the
 * child: `ready`, `started SLOT PID`, `fresh SLOT REASON`, `exited SLOT STATUS USER SYSTEM PEAK`, `running SLOT`,
 * `refused SCRIPT REASON`. The memory for one message is used again for the next.
 */
import { constants } from 'node:os'
import type { ByteString } from '../gateway.js'
import type { Stdio } from './file-actions.js'
import { closeOnExec, errnoName, type Libc, nonBlocking, setStatusFlags } from './libc.js'

/** Longest message either way; a start that needs more is made fresh. */
export const mostMessageBytes = 64 * 1024

const unixFamily = 1
const sequencedPackets = 5
const noSignal = 0x4000
/** struct msghdr, struct iovec, and a cmsghdr with three descriptors, on 64-bit Linux. */
const vectorAt = 56
const controlAt = 72
const controlBytes = 32
const rightsBytes = 28
const headerBytes = controlAt + controlBytes
const socketLevel = 1
const rights = 1

/** Our end, which does not block, and the server's. @throws Error when there are no descriptors */
export function openChannel(libc: Libc): { ours: number; servers: number } {
  const pair = new Int32Array(2)
  if (libc.socketpair(unixFamily, sequencedPackets | closeOnExec, 0, pair) !== 0) {
    throw new Error(`socketpair: ${errnoName(libc.errno())}`)
  }
  const [ours = -1, servers = -1] = pair
  libc.fcntl(ours, setStatusFlags, nonBlocking)
  return { ours, servers }
}

/** Sends and receives; one for all channels, since no call waits. */
export class ForkMessages {
  readonly #libc: Libc
  readonly #text = Buffer.allocUnsafeSlow(mostMessageBytes)
  readonly #header = Buffer.alloc(headerBytes)

  constructor(libc: Libc) {
    this.#libc = libc
    const header = this.#header
    const at = libc.address(header)
    header.writeBigUInt64LE(at + BigInt(vectorAt), 16)
    header.writeBigUInt64LE(1n, 24)
    header.writeBigUInt64LE(libc.address(this.#text), vectorAt)
    header.writeBigUInt64LE(BigInt(rightsBytes), controlAt)
    header.writeInt32LE(socketLevel, controlAt + 8)
    header.writeInt32LE(rights, controlAt + 12)
    header.writeBigUInt64LE(at + BigInt(controlAt), 32)
  }

  /** False when the channel is full; a channel whose other end has gone takes everything. */
  send(fd: number, words: ByteString, stdio?: Stdio): boolean {
    const header = this.#header
    this.#text.write(words, 0, 'latin1')
    header.writeUInt32LE(words.length, vectorAt + 8)
    header.writeUInt32LE(stdio === undefined ? 0 : controlBytes, 40)
    if (stdio !== undefined) {
      for (let i = 0; i < 3; i++) header.writeInt32LE(stdio[i] ?? -1, controlAt + 16 + 4 * i)
    }
    if (this.#libc.sendmsg(fd, header, noSignal) >= 0) return true
    // The end of the server is news of another kind: its descriptor hangs up.
    return this.#libc.errno() !== constants.errno.EAGAIN
  }

  /** The words of the next message; undefined: none waits; no words: there will be none any more. */
  receive(fd: number): ByteString[] | undefined {
    const { EAGAIN, EINTR, ECONNRESET } = constants.errno
    for (;;) {
      const bytes = this.#libc.read(fd, this.#text, mostMessageBytes)
      if (bytes > 0) return this.#text.toString('latin1', 0, bytes).split('\0')
      const errno = bytes < 0 ? this.#libc.errno() : 0
      if (errno === EAGAIN || errno === EINTR) return undefined
      // It went with messages of ours unread. What it had said before waits behind this news, told once.
      if (errno !== ECONNRESET) return []
    }
  }
}
