/**
 * A connection that speaks another protocol now (RFC 9110 §7.8): bytes from either side to the other.
 *
 * Nothing is read into the bytes and nothing waits here: who is slower pauses the other. The end of one side is
 * the end of that direction only; a side that breaks off takes the other with it.
 */
import type { Duplex } from 'node:stream'
import { GatewayError } from '../errors.js'
import type { Tunnel } from '../gateway.js'
import type { ConnectionUser, ProxyConnection } from './connection.js'

/** Who is told how it goes. */
export interface TunnelOwner {
  /** Bytes have moved. */
  moved(): void
  /** The server's side is closed. */
  over(): void
}

export class UpgradedConnection implements ConnectionUser, Tunnel {
  readonly #connection: ProxyConnection
  readonly #first: Buffer
  readonly #owner: TunnelOwner
  #client: Duplex | undefined
  #sent: (bytes: number) => void = () => {}
  #isOver = false

  /** @param first bytes of the server that have come already */
  constructor(connection: ProxyConnection, first: Buffer, owner: TunnelOwner) {
    this.#connection = connection
    this.#first = first
    this.#owner = owner
    connection.begin(this)
    connection.pause()
  }

  join(client: Duplex, sent: (bytes: number) => void): void {
    if (this.#isOver) {
      client.destroy()
      return
    }
    const connection = this.#connection
    this.#client = client
    this.#sent = sent
    client.on('data', (chunk: Buffer) => {
      this.#owner.moved()
      if (!connection.write(chunk)) client.pause()
    })
    client.on('drain', () => {
      this.#owner.moved()
      connection.resume()
    })
    client.on('end', () => connection.end())
    client.on('close', () => {
      if (!client.readableEnded || !client.writableFinished) this.close()
    })
    client.on('error', () => {})
    connection.resume()
    if (this.#first.length > 0) this.received(this.#first)
    client.resume()
  }

  /** Ends both sides at once. */
  close(): void {
    this.#connection.close(new GatewayError('CLIENT_LEFT'))
  }

  connected(): void {}

  received(chunk: Buffer): void {
    this.#owner.moved()
    this.#sent(chunk.length)
    if (this.#client?.write(chunk) === false) this.#connection.pause()
  }

  drained(): void {
    this.#owner.moved()
    this.#client?.resume()
  }

  /** What the client still sends is read and dropped. */
  deaf(): void {
    this.#client?.resume()
  }

  ended(): void {
    this.#client?.end()
  }

  gone(): void {
    if (this.#isOver) return
    this.#isOver = true
    const client = this.#client
    // Both have said all they had to say, or nobody waits for the rest.
    if (client !== undefined && !(client.readableEnded && client.writableEnded)) client.destroy()
    this.#owner.over()
  }
}
