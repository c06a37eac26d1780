/**
 * The application's side of SCGI: a socket that web servers connect to, and a channel per request.
 *
 * The socket is `cgi/app-listener.ts`; a connection, which is one request, is `responder-connection.ts`.
 * Bounded by `maxConnections`.
 */
import type { AddressInfo } from 'node:net'
import { AppListener, type ListenTarget } from '../cgi/app-listener.js'
import type { Channel } from '../cgi/channel.js'
import { ScgiConnection } from './responder-connection.js'
import type { ScgiResponderSettings } from './responder-options.js'

export class ScgiResponder {
  readonly #listener: AppListener

  /** `begin` gets each request once its variables are complete; it must not throw. */
  constructor(settings: ScgiResponderSettings, begin: (request: Channel) => void) {
    this.#listener = new AppListener(
      settings,
      socket => new ScgiConnection(socket, settings, begin),
    )
  }

  /** Settles when it listens. @throws the system's error (EADDRINUSE, EACCES…) */
  listen(target: ListenTarget): Promise<void> {
    return this.#listener.listen(target)
  }

  /** As node:net has it: the path of a unix socket, or address and port. */
  address(): AddressInfo | string | null {
    return this.#listener.address()
  }

  /** Stops accepting, lets requests finish. Settles when all connections are closed. */
  close(): Promise<void> {
    return this.#listener.close()
  }
}
