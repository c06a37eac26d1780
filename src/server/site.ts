/**
 * What an exchange is given: the site that it belongs to, and how its request came in. Types only.
 *
 * A site is made once per server (or handler); nothing in it belongs to one request.
 */
import type { ByteString } from '../gateway.js'
import type { Logger } from '../log.js'
import type { StaticFiles } from '../static/files.js'
import type { AccessEntry } from './access-log.js'
import type { ServerLimits } from './config.js'
import type { Mount } from './mount.js'
import type { Router } from './router.js'

/** What every exchange of one server shares. */
export interface Site {
  readonly router: Router<Mount>
  readonly files: StaticFiles | undefined
  /** Sends the files that programs name (X-Sendfile). */
  readonly sender: Pick<StaticFiles, 'sendFile'>
  readonly limits: ServerLimits
  /** Show causes to clients on loopback. */
  readonly dev: boolean
  readonly log: Logger
  readonly access: (entry: AccessEntry) => void
  readonly nextId: () => string
  /** The server is going down: start nothing new. */
  readonly draining: () => boolean
}

/** How a request came in. */
export interface Arrival {
  /** The client waits for `100 Continue` before it sends its body. */
  readonly waits: boolean
  /** The protocol that may be gone on with; undefined: none. */
  readonly upgrade?: ByteString | undefined
  /** The whole request target: a framework may have cut `req.url`. */
  readonly url: ByteString
  /** Called instead of answering when there is nothing at the path. */
  readonly next: (() => void) | undefined
}
