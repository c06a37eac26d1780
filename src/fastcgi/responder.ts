/**
 * The application's side of FastCGI: a socket that web servers connect to, and a handler per request.
 *
 * The socket is `cgi/app-listener.ts`, records are `responder-connection.ts`, one request is
 * `responder-request.ts`. Bounded by `maxConnections` and `maxRequests`.
 */
import type { AddressInfo } from 'node:net'
import { AppListener, type ListenTarget } from '../cgi/app-listener.js'
import { ResponderConnection, type ResponderHost } from './responder-connection.js'
import {
  type ResponderOptions,
  type ResponderSettings,
  responderSettings,
} from './responder-options.js'
import type { ResponderRequest } from './responder-request.js'
import { type FastCgiRequest, RequestStreams } from './responder-streams.js'

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
  readonly #listener: AppListener

  /** `begin` gets each request once its variables are complete; it must not throw. */
  constructor(settings: ResponderSettings, begin: (request: ResponderRequest) => void) {
    this.settings = settings
    this.begin = begin
    this.#listener = new AppListener(settings, socket => new ResponderConnection(socket, this))
  }

  /** No new requests. */
  get closing(): boolean {
    return this.#listener.closing
  }

  /** Settles when it listens. @throws the system's error (EADDRINUSE, EACCES…) */
  listen(target: ListenTarget): Promise<void> {
    return this.#listener.listen(target)
  }

  /** As node:net has it: the path of a unix socket, or address and port. */
  address(): AddressInfo | string | null {
    return this.#listener.address()
  }

  /** Stops accepting, lets requests finish, closes connections. Settles when all are closed. */
  close(): Promise<void> {
    return this.#listener.close()
  }
}
