/**
 * The connections of a gateway: which of them a request gets, and which are kept for the next one.
 *
 * Who holds a lease of an upstream gets a connection, so there are never more of them than its capacity; the
 * last used one is used first. A request that could not be sent again goes on a kept one only while that is
 * fresh: servers close theirs after a few seconds, and the two may cross (H-16).
 */
import type { Sender } from '../backend/dispatch.js'
import { isSafeToRepeat } from '../backend/repeat.js'
import { GatewayError } from '../errors.js'
import type { Upstream } from '../upstream/upstreams.js'
import { Attempt, type AttemptOwner, type SentRequest } from './attempt.js'
import { ProxyConnection } from './connection.js'

/** Servers keep connections for two seconds (gunicorn) and more (Node: five). */
const surelyKeptMs = 1_000

interface Group {
  /** Without a request, the last used one last. */
  readonly idle: ProxyConnection[]
  /** How many there are. */
  open: number
}

export class Connections implements Sender<SentRequest, AttemptOwner, Attempt> {
  readonly #connectMs: number
  /** Upstreams come and go: what is known of one goes with it. */
  readonly #groups = new WeakMap<Upstream, Group>()
  readonly #all = new Set<ProxyConnection>()

  /** @param connectMs limit of time for a connection to be made; 0: none */
  constructor(connectMs: number) {
    this.#connectMs = connectMs
  }

  prepared(): undefined {
    return undefined
  }

  send(
    upstream: Upstream,
    fresh: boolean,
    request: { readonly method: string },
    sent: SentRequest,
    owner: AttemptOwner,
  ): Attempt {
    const group = this.#group(upstream)
    const isSafe = isSafeToRepeat(request.method, sent.body) && sent.upgrade === undefined
    const kept = fresh ? undefined : this.#take(group, isSafe)
    return new Attempt(upstream, kept ?? this.#open(group, upstream), sent, owner)
  }

  giveBack({ upstream, connection, isClean }: Attempt): void {
    const group = this.#group(upstream)
    connection.release()
    if (!isClean || !connection.isUsable || group.open > upstream.capacity) {
      connection.discard()
      return
    }
    connection.idleSince = performance.now()
    group.idle.push(connection)
  }

  /** Closes all of them; requests on them break off. */
  close(): void {
    for (const connection of [...this.#all]) connection.close(new GatewayError('DRAINING'))
  }

  #take(group: Group, isSafe: boolean): ProxyConnection | undefined {
    const last = group.idle.pop()
    if (last === undefined || isSafe) return last
    if (performance.now() - last.idleSince < surelyKeptMs) return last
    // It would hold the worker that the new one needs.
    last.discard()
    return undefined
  }

  #group(upstream: Upstream): Group {
    const known = this.#groups.get(upstream)
    if (known !== undefined) return known
    const group: Group = { idle: [], open: 0 }
    this.#groups.set(upstream, group)
    return group
  }

  #open(group: Group, upstream: Upstream): ProxyConnection {
    group.open++
    const connection = new ProxyConnection({
      address: upstream.address,
      connectMs: this.#connectMs,
      onGone: gone => {
        group.open--
        this.#all.delete(gone)
        const at = group.idle.indexOf(gone)
        if (at !== -1) group.idle.splice(at, 1)
      },
    })
    this.#all.add(connection)
    return connection
  }
}
