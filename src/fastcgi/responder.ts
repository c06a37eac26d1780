/**
 * The application's side of FastCGI: a socket that web servers connect to, and a handler per request.
 *
 * Accepts, counts, closes; records are `responder-connection.ts`, one request is `responder-request.ts`.
 * Bounded by `maxConnections` and `maxRequests`.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { ResponderConnection, type ResponderHost } from './responder-connection.js'
import {
  plainAddress,
  type ResponderOptions,
  type ResponderSettings,
  responderSettings,
} from './responder-options.js'
import type { ResponderRequest } from './responder-request.js'
import { type FastCgiRequest, RequestStreams } from './responder-streams.js'

/**
 * Where to listen: a port (of 127.0.0.1, unless a host is named: FastCGI has no passwords), the path of a
 * unix socket, or a descriptor that listens already.
 */
export type ListenTarget =
  | number
  | string
  | { readonly port: number; readonly host?: string }
  | { readonly path: string }
  | { readonly fd: number }

/** A handler for requests of any role. When it returns a promise, the request ends with it. */
export interface ResponderHandler extends ResponderOptions {
  readonly handle: (request: FastCgiRequest) => void | Promise<void>
}

/**
 * Serves FastCGI requests of any role with streams (specification §6).
 *
 * A handler that throws, or whose promise is rejected, ends its request with appStatus 1 and its stack on
 * FCGI_STDERR; the responder goes on.
 * @throws RangeError for a limit that makes no sense
 */
export function createResponder(options: ResponderHandler): Responder {
  const { handle } = options
  return new Responder(responderSettings(options), request => {
    const streams = new RequestStreams(request)
    request.expectBody()
    try {
      handle(streams)?.then(
        () => streams.end(),
        (error: unknown) => streams.fail(error),
      )
    } catch (error) {
      streams.fail(error)
    }
  })
}

export class Responder implements ResponderHost {
  readonly settings: ResponderSettings
  readonly begin: (request: ResponderRequest) => void
  active = 0
  closing = false
  readonly #server: Server
  readonly #connections = new Set<ResponderConnection>()
  readonly #webServers: ReadonlySet<string> | undefined
  #closed: Promise<void> | undefined

  /** `begin` gets each request once its variables are complete; it must not throw. */
  constructor(settings: ResponderSettings, begin: (request: ResponderRequest) => void) {
    this.settings = settings
    this.begin = begin
    this.#webServers =
      settings.webServerAddresses === undefined ? undefined : new Set(settings.webServerAddresses)
    this.#server = createServer({ noDelay: true }, socket => this.#accept(socket))
    this.#server.maxConnections = settings.maxConnections
    this.#server.on('drop', () => {
      settings.log(`postern/fastcgi: more than ${settings.maxConnections} connections; one closed.`)
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
        server.on('error', error => this.settings.log(`postern/fastcgi: ${error.message}`))
        resolve()
      })
    })
  }

  /** As node:net has it: the path of a unix socket, or address and port. */
  address(): AddressInfo | string | null {
    return this.#server.address()
  }

  /** Stops accepting, lets requests finish, closes connections. Settles when all are closed. */
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
      this.settings.log(
        `postern/fastcgi: ${socket.remoteAddress ?? 'a peer without an IP address'} is not in FCGI_WEB_SERVER_ADDRS; closed.`,
      )
      socket.destroy()
      return
    }
    const connection = new ResponderConnection(socket, this)
    this.#connections.add(connection)
    socket.on('close', () => this.#connections.delete(connection))
  }

  #isWebServer(socket: Socket): boolean {
    if (this.#webServers === undefined) return true
    const { remoteAddress } = socket
    return remoteAddress !== undefined && this.#webServers.has(plainAddress(remoteAddress))
  }
}

function listenOptions(target: ListenTarget): Exclude<ListenTarget, number | string> {
  if (typeof target === 'number') return { port: target, host: '127.0.0.1' }
  if (typeof target === 'string') return { path: target }
  if ('port' in target) return { port: target.port, host: target.host ?? '127.0.0.1' }
  return target
}
