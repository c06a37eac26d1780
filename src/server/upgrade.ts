/**
 * Requests that ask to go on in another protocol (RFC 9110 §7.8): WebSocket, on routes that can pass it on.
 *
 * node:http takes a connection out of its hands for every such request, or for none. Here it is asked for the
 * few that can be had: the others are answered as if nobody had asked, and their connections are kept. What
 * waits before the protocols are switched is bounded by `earlyBytes`.
 */
import { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ByteString, Tunnel } from '../gateway.js'

/** What a client may send before it knows that the protocols are switched. */
const earlyBytes = 64 * 1024

/** Requests that node:http makes: those that `canUpgrade` lose their connection to the `upgrade` event. */
export function upgradingRequests(
  canUpgrade: (req: IncomingMessage) => boolean,
): typeof IncomingMessage {
  return class extends IncomingMessage {
    /** What node's parser says: both fields are there. */
    #asked = false

    get upgrade(): boolean {
      return this.#asked && (this.method === 'CONNECT' || canUpgrade(this))
    }

    set upgrade(asked: boolean) {
      // Node's constructor says null before there is a place for it.
      if (#asked in this) this.#asked = asked
    }
  }
}

/**
 * The protocols that the client asks for, or undefined: no request with a body, since that could not be read, and
 * not HTTP/2, which a gateway answers by itself.
 */
export function askedUpgrade(req: IncomingMessage): ByteString | undefined {
  const { upgrade } = req.headers
  if (upgrade === undefined || req.method !== 'GET' || /\bh2c?\b/i.test(upgrade)) return undefined
  const hasBody = req.headers['content-length'] ?? req.headers['transfer-encoding']
  return hasBody === undefined || hasBody === '0' ? upgrade : undefined
}

/** A response for a connection that node:http has let go; any other answer than 101 is the last on it. */
export function responseOn(req: IncomingMessage, socket: Duplex, head: Buffer): ServerResponse {
  const res = new ServerResponse(req)
  res.shouldKeepAlive = false
  res.assignSocket(req.socket)
  const early = new EarlyBytes(socket, head)
  early.begin()
  res.once('finish', () => {
    if (res.statusCode !== 101) socket.end(() => socket.destroy())
  })
  waiting.set(res, early)
  return res
}

const waiting = new WeakMap<ServerResponse, EarlyBytes>()

/** Answers 101 and joins the client to the tunnel; `sent` counts the bytes that go to the client. */
export function switchProtocols(
  res: ServerResponse,
  headers: readonly ByteString[],
  reason: string | undefined,
  tunnel: Tunnel,
  sent: (bytes: number) => void,
): void {
  const early = waiting.get(res)
  if (early === undefined || res.destroyed) {
    tunnel.close()
    return
  }
  // Ends the message, not the connection: that is the other protocol's now.
  res.writeHead(101, reason ?? 'Switching Protocols', [...headers])
  res.end()
  const client = early.stop()
  tunnel.join(client, sent)
}

/** Keeps what comes before the answer, and sees to it that a client that leaves meanwhile is noticed. */
class EarlyBytes {
  readonly #socket: Duplex
  readonly #chunks: Buffer[] = []
  #bytes = 0

  constructor(socket: Duplex, head: Buffer) {
    this.#socket = socket
    if (head.length > 0) this.#keep(head)
  }

  begin(): void {
    const socket = this.#socket
    socket.on('error', ignore)
    socket.on('data', this.#keep)
    socket.once('end', this.#left)
    socket.resume()
  }

  /** The client, with all that it has sent before it. */
  stop(): Duplex {
    const socket = this.#socket
    socket.off('data', this.#keep)
    socket.off('end', this.#left)
    socket.pause()
    if (this.#bytes > 0) socket.unshift(Buffer.concat(this.#chunks))
    return socket
  }

  readonly #keep = (chunk: Buffer): void => {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes > earlyBytes) this.#socket.pause()
  }

  readonly #left = (): void => {
    this.#socket.destroy()
  }
}

const ignore = (): void => {}
