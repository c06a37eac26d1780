/**
 * An SCGI or uwsgi application that does what a test says, byte by byte, right or wrong.
 *
 * Reads requests by the text of the specifications, not with our decoders, and calls the script of the path
 * (PATH_INFO) once the variables are there. Listens on a unix socket of its own, or on port 0; closed in teardown.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import {
  defaultScgiRoute,
  defaultUwsgiRoute,
  type ScgiRouteConfig,
  type UwsgiRouteConfig,
} from '../../src/server/config.js'
import type { Address } from '../../src/upstream/address.js'
import { tempRoot } from './temp-root.js'
import { waitFor } from './wait-for.js'

export type SocketKind = 'scgi' | 'uwsgi'
export const socketKinds: readonly SocketKind[] = ['scgi', 'uwsgi']

/** One request as the application sees it. */
export interface SeenSocketRequest {
  /** The netstring, or the packet, as it came. */
  readonly head: Buffer
  /** Name, value… in order. */
  readonly pairs: readonly string[]
  readonly variables: ReadonlyMap<string, string>
  readonly socket: Socket
  /** Which connection it came on, from 0. */
  readonly connection: number
  /** Bytes of the body so far; those that are kept are in `body`. */
  readonly bodyBytes: number
  /** The gateway has closed, or sent the end of its side. */
  readonly closed: boolean
  /** Waits for as many bytes as CONTENT_LENGTH says. */
  body(): Promise<Buffer>
  /** Sends and closes. */
  answer(text: string | Buffer): void
}

export type SocketScript = (request: SeenSocketRequest) => void

export interface SocketWorker {
  readonly address: Address
  readonly requests: readonly SeenSocketRequest[]
  /** Connections so far, and those that are open. */
  readonly connections: number
  readonly open: number
  /** Listens no more and closes all connections; answers when the address is free. */
  stop(): Promise<void>
}

export interface SocketWorkerOptions {
  /** Port 0 of 127.0.0.1 instead of a unix socket. */
  readonly tcp?: boolean
  /** Path of the unix socket. */
  readonly path?: string
  /** Bodies are counted and dropped. */
  readonly countsOnly?: boolean
}

/** A route of a kind, with every default and what the test says. */
export function socketRoute(
  kind: SocketKind,
  path: string,
  addresses: readonly Address[],
  changes: Partial<Omit<UwsgiRouteConfig, 'kind'>> = {},
): ScgiRouteConfig | UwsgiRouteConfig {
  const place = { path, addresses }
  if (kind === 'scgi') return { ...defaultScgiRoute, ...changes, ...place }
  return { ...defaultUwsgiRoute, ...changes, ...place }
}

/** Starts one; a path without a script is answered with its name. */
export async function startSocketWorker(
  t: Test,
  kind: SocketKind,
  scripts: Readonly<Record<string, SocketScript>> = {},
  options: SocketWorkerOptions = {},
): Promise<SocketWorker> {
  const requests: Seen[] = []
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    // Who is at the other end may break off: that is what is tested.
    socket.on('error', () => {})
    const request = new Seen(kind, socket, connections++, options.countsOnly === true)
    socket.on('end', () => {
      request.closed = true
      socket.end()
    })
    socket.on('data', chunk => {
      if (!request.take(chunk)) return
      requests.push(request)
      const path = request.variables.get('PATH_INFO') ?? ''
      const script = scripts[path] ?? (asked => asked.answer(`\r\n${path}`))
      script(request)
    })
  })
  const stop = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    if (server.listening) await new Promise(resolve => server.close(resolve))
  }
  t.teardown(stop)
  return {
    address: await listen(t, server, options),
    requests,
    get connections() {
      return connections
    },
    get open() {
      return sockets.size
    },
    stop,
  }
}

async function listen(t: Test, server: Server, options: SocketWorkerOptions): Promise<Address> {
  if (options.tcp === true) {
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    return { kind: 'tcp', host: '127.0.0.1', port }
  }
  const path = options.path ?? join(tempRoot(t).path, 'worker.sock')
  await new Promise<void>(resolve => server.listen(path, resolve))
  return { kind: 'unix', path }
}

class Seen implements SeenSocketRequest {
  readonly socket: Socket
  readonly connection: number
  readonly pairs: string[] = []
  readonly variables = new Map<string, string>()
  head: Buffer = Buffer.alloc(0)
  bodyBytes = 0
  closed = false
  readonly #kind: SocketKind
  readonly #countsOnly: boolean
  readonly #body: Buffer[] = []
  #isWhole = false

  constructor(kind: SocketKind, socket: Socket, connection: number, countsOnly: boolean) {
    this.#kind = kind
    this.socket = socket
    this.connection = connection
    this.#countsOnly = countsOnly
  }

  /** Whether the variables are whole with this chunk. */
  take(chunk: Buffer): boolean {
    if (this.#isWhole) {
      this.#takeBody(chunk)
      return false
    }
    const all = Buffer.concat([this.head, chunk])
    const end = this.#kind === 'scgi' ? netstringEnd(all) : packetEnd(all)
    this.head = all
    if (end === undefined || all.length < end) return false
    this.#isWhole = true
    this.head = all.subarray(0, end)
    this.pairs.push(...(this.#kind === 'scgi' ? netstringTexts : packetTexts)(this.head))
    for (let i = 0; i < this.pairs.length; i += 2) {
      this.variables.set(this.pairs[i] ?? '', this.pairs[i + 1] ?? '')
    }
    this.#takeBody(all.subarray(end))
    return true
  }

  async body(): Promise<Buffer> {
    const length = Number(this.variables.get('CONTENT_LENGTH') ?? 0)
    await waitFor('the body is whole', () => this.bodyBytes >= length)
    return Buffer.concat(this.#body)
  }

  answer(text: string | Buffer): void {
    this.socket.end(text)
  }

  #takeBody(bytes: Buffer): void {
    this.bodyBytes += bytes.length
    if (!this.#countsOnly && bytes.length > 0) this.#body.push(bytes)
  }
}

/** Where `70:…,` ends. */
function netstringEnd(bytes: Buffer): number | undefined {
  const colon = bytes.indexOf(':')
  return colon === -1 ? undefined : colon + 1 + Number(bytes.toString('latin1', 0, colon)) + 1
}

function netstringTexts(head: Buffer): string[] {
  const text = head.toString('latin1', head.indexOf(':') + 1, head.length - 1)
  return text.split('\0').slice(0, -1)
}

/** A byte, the size as 16 bits little endian, a byte. */
function packetEnd(bytes: Buffer): number | undefined {
  return bytes.length < 4 ? undefined : 4 + bytes.readUInt16LE(1)
}

function packetTexts(head: Buffer): string[] {
  const texts: string[] = []
  for (let at = 4; at < head.length; ) {
    const length = head.readUInt16LE(at)
    texts.push(head.toString('latin1', at + 2, at + 2 + length))
    at += 2 + length
  }
  return texts
}

/** Resets a TCP connection. Node's own `resetAndDestroy` sends the end of the stream before. */
export function abortConnection(socket: Socket): void {
  const { _handle } = socket as unknown as { _handle: { reset(done: () => void): void } }
  _handle.reset(() => socket.destroy())
}
