/**
 * Where an application waits for web servers: one listening socket, whose connections are of any protocol.
 *
 * Accepts, counts, closes; what is said on a connection is its protocol's. Bounded by `maxConnections`.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'

/**
 * Where to listen: a port (of 127.0.0.1, unless a host is named: these protocols have no passwords), the
 * path of a unix socket, or a descriptor that listens already.
 */
export type ListenTarget =
  | number
  | string
  | { readonly port: number; readonly host?: string }
  | { readonly path: string }
  | { readonly fd: number }

/** What a listener must know; both responders have it among their settings. */
export interface AppListenerSettings {
  /** Connections at once; further ones are closed. */
  readonly maxConnections: number
  /** IP addresses that may connect; with any, peers without one are refused too. Undefined: everyone. */
  readonly webServerAddresses: readonly string[] | undefined
  /** Takes one line, without its end. */
  readonly log: (line: string) => void
}

/** A connection of a protocol. */
export interface AppConnection {
  /** The listener is closing: finishes what has begun, and closes. */
  drain(): void
}

export class AppListener {
  /** No new connections. */
  closing = false
  readonly #settings: AppListenerSettings
  readonly #open: (socket: Socket) => AppConnection
  readonly #server: Server
  readonly #connections = new Set<AppConnection>()
  readonly #webServers: ReadonlySet<string> | undefined
  #closed: Promise<void> | undefined

  /** `open` gets each socket that is accepted. */
  constructor(settings: AppListenerSettings, open: (socket: Socket) => AppConnection) {
    this.#settings = settings
    this.#open = open
    const { webServerAddresses, maxConnections } = settings
    this.#webServers =
      webServerAddresses === undefined ? undefined : new Set(webServerAddresses.map(plainAddress))
    this.#server = createServer({ noDelay: true }, socket => this.#accept(socket))
    this.#server.maxConnections = maxConnections
    this.#server.on('drop', () => {
      settings.log(`postern/fastcgi: more than ${maxConnections} connections; one closed.`)
    })
  }

  /** Settles when it listens. @throws the system's error (EADDRINUSE, EACCES…) */
  listen(target: ListenTarget): Promise<void> {
    const server = this.#server
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(listenOptions(target), () => {
        server.off('error', reject)
        // A descriptor that cannot be accepted from for a moment (EMFILE) must not end the process.
        server.on('error', error => this.#settings.log(`postern/fastcgi: ${error.message}`))
        resolve()
      })
    })
  }

  /** As node:net has it: the path of a unix socket, or address and port. */
  address(): AddressInfo | string | null {
    return this.#server.address()
  }

  /** Stops accepting, lets connections finish. Settles when all are closed. */
  close(): Promise<void> {
    this.#closed ??= new Promise(resolve => {
      // One whole round of the event loop first: what has arrived by now is still answered.
      setImmediate(setImmediate, () => {
        this.closing = true
        this.#server.close(() => resolve())
        for (const connection of this.#connections) connection.drain()
      })
    })
    return this.#closed
  }

  #accept(socket: Socket): void {
    if (!this.#isWebServer(socket)) {
      this.#settings.log(
        `postern/fastcgi: ${socket.remoteAddress ?? 'a peer without an IP address'} is not in FCGI_WEB_SERVER_ADDRS or webServerAddresses; closed.`,
      )
      socket.destroy()
      return
    }
    const connection = this.#open(socket)
    this.#connections.add(connection)
    socket.on('close', () => this.#connections.delete(connection))
  }

  #isWebServer(socket: Socket): boolean {
    if (this.#webServers === undefined) return true
    const { remoteAddress } = socket
    return remoteAddress !== undefined && this.#webServers.has(plainAddress(remoteAddress))
  }
}

/** @throws RangeError that names a limit which is not a whole number above 0 */
export function refuseLimits(limits: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(limits)) {
    if (Number.isSafeInteger(value) && value > 0) continue
    throw new RangeError(`${name}: expected a whole number of 1 or more, got ${String(value)}`)
  }
}

/** Where lines go unless told otherwise. */
export function logToStderr(line: string): void {
  process.stderr.write(`${line}\n`)
}

function listenOptions(target: ListenTarget): Exclude<ListenTarget, number | string> {
  if (typeof target === 'number') return { port: target, host: '127.0.0.1' }
  if (typeof target === 'string') return { path: target }
  if ('port' in target) return { port: target.port, host: target.host ?? '127.0.0.1' }
  return target
}

/** An IPv4 address in IPv6 form (a dual-stack socket tells it so) as IPv4. */
function plainAddress(address: string): string {
  const prefix = '::ffff:'
  const mapped = address.toLowerCase().startsWith(prefix) && address.includes('.')
  return mapped ? address.slice(prefix.length) : address.trim()
}
