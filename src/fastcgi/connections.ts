/**
 * The connections of a gateway: which of them a request gets, and which are kept for the next one.
 *
 * One connection carries one request at a time, unless the application was asked and said that it
 * multiplexes (G-21). Who holds a lease of an upstream gets a connection, so there are never more of them
 * than its capacity; kept ones beyond a capacity that was lowered are closed (G-20).
 */
import { GatewayError } from '../errors.js'
import type { Logger } from '../log.js'
import type { Upstream } from '../upstream/upstreams.js'
import { FastCgiConnection } from './connection.js'
import { probeValues } from './probe.js'
import { createTrace } from './trace.js'

export interface ConnectionsOptions {
  readonly connectMs: number
  /** Ask each upstream for its values before its first request. */
  readonly probe: boolean
  /** Upstreams keep the capacity that they were given, whatever they say. */
  readonly capacityGiven: boolean
  /** Applications of others may close a kept connection at any moment. */
  readonly cautious: boolean
  readonly trace: boolean
  readonly log: Logger
}

/** The connections to one upstream. */
interface Group {
  /** Settles when the application has been asked. */
  asking: Promise<void> | undefined
  /** Requests that may share a connection; 1: none. */
  sharing: number
  /** Without a request, the last used one last. */
  readonly idle: FastCgiConnection[]
  /** All of them. */
  readonly open: Set<FastCgiConnection>
  /** Those on which nothing has come yet, and since when they wait. */
  readonly unheard: Map<FastCgiConnection, number>
  watch: NodeJS.Timeout | undefined
}

export class Connections {
  readonly #options: ConnectionsOptions
  /** Upstreams come and go: what is known of one goes with it. */
  readonly #groups = new WeakMap<Upstream, Group>()
  readonly #all = new Set<FastCgiConnection>()

  constructor(options: ConnectionsOptions) {
    this.#options = options
  }

  /** Something to wait for before the first request to an upstream; undefined when all is known. */
  prepared(upstream: Upstream): Promise<void> | undefined {
    return this.#group(upstream).asking
  }

  /**
   * A connection for one more request: a shared one, a kept one, or a new one.
   *
   * An application that ends after so many requests (php-fpm does) closes the connection right behind an answer:
   * a request that could not be sent again goes on a kept one only when that has outlived the moment.
   */
  take(upstream: Upstream, isSafeToRepeat: boolean): FastCgiConnection {
    const group = this.#group(upstream)
    if (group.sharing > 1) {
      for (const connection of group.open) {
        if (connection.isUsable && connection.active < group.sharing) return connection
      }
      return this.#open(upstream, group)
    }
    if (!isSafeToRepeat && this.#options.cautious) return this.#takeSettled(upstream, group)
    return group.idle.pop() ?? this.#open(upstream, group)
  }

  #takeSettled(upstream: Upstream, group: Group): FastCgiConnection {
    const oldest = group.idle.shift()
    if (oldest === undefined) return this.#open(upstream, group)
    if (performance.now() - oldest.idleSince >= settledMs) return oldest
    // It would hold the process that the new one needs.
    oldest.close(new GatewayError('UPSTREAM_CLOSED'))
    return this.#open(upstream, group)
  }

  /** A new connection, whatever there is (G-19). */
  fresh(upstream: Upstream): FastCgiConnection {
    return this.#open(upstream, this.#group(upstream))
  }

  /** Whether several requests share the connections of an upstream. */
  shares(upstream: Upstream): boolean {
    return this.#group(upstream).sharing > 1
  }

  /** G-10: whatever it said, it does not multiplex. */
  shareNoMore(upstream: Upstream): void {
    const group = this.#group(upstream)
    if (group.sharing === 1) return
    group.sharing = 1
    group.idle.push(...[...group.open].filter(connection => connection.active === 0))
    this.#options.log.warn(
      { upstream: upstream.name },
      'the program said that it multiplexes and does not; each request gets a connection',
    )
  }

  /** A request on the connection is over. `isClean`: nothing of it is left in either direction. */
  giveBack(upstream: Upstream, connection: FastCgiConnection, isClean: boolean): void {
    const group = this.#groups.get(upstream)
    if (group === undefined || !group.open.has(connection) || connection.active > 0) return
    if (!isClean || !connection.isUsable || group.open.size > upstream.capacity) {
      connection.close(new GatewayError('UPSTREAM_CLOSED'))
      return
    }
    // A shared connection is found in `open`.
    if (group.sharing > 1) return
    if (group.unheard.size > 0 && this.#holdsUp(group)) {
      connection.close(new GatewayError('UPSTREAM_CLOSED'))
      return
    }
    connection.idleSince = performance.now()
    group.idle.push(connection)
    if (group.unheard.size > 0) this.#watch(group)
  }

  /** Closes all of them; requests on them break off. */
  close(): void {
    for (const connection of [...this.#all]) connection.close(new GatewayError('DRAINING'))
  }

  /**
   * Whether a connection has waited long for its first byte: it may be in the backlog of an application whose
   * processes are held by the connections that we keep (G-20). Each makes room once per `patienceMs`.
   */
  #holdsUp(group: Group): boolean {
    const now = performance.now()
    for (const [connection, since] of group.unheard) {
      if (now - since < patienceMs) continue
      group.unheard.set(connection, now)
      return true
    }
    return false
  }

  /** Looks after connections that wait while others are kept without a request. */
  #watch(group: Group): void {
    group.watch ??= setTimeout(() => {
      group.watch = undefined
      while (group.idle.length > 0 && this.#holdsUp(group)) {
        group.idle.shift()?.close(new GatewayError('UPSTREAM_CLOSED'))
      }
      if (group.idle.length > 0 && group.unheard.size > 0) this.#watch(group)
    }, patienceMs)
  }

  #group(upstream: Upstream): Group {
    const known = this.#groups.get(upstream)
    if (known !== undefined) return known
    const group: Group = {
      asking: undefined,
      sharing: 1,
      idle: [],
      open: new Set(),
      unheard: new Map(),
      watch: undefined,
    }
    this.#groups.set(upstream, group)
    if (this.#options.probe) group.asking = this.#ask(upstream, group)
    return group
  }

  async #ask(upstream: Upstream, group: Group): Promise<void> {
    const answer = await probeValues(upstream.address)
    group.asking = undefined
    if (answer === undefined) return
    const { maxConnections, maxRequests, multiplexes } = answer
    this.#options.log.debug({ upstream: upstream.name, ...answer }, 'the program was asked')
    if (multiplexes) group.sharing = maxRequests ?? upstream.capacity
    if (this.#options.capacityGiven) return
    const said = multiplexes ? maxRequests : (maxConnections ?? maxRequests)
    if (said !== undefined) upstream.capacity = Math.min(said, mostRequests)
  }

  #open(upstream: Upstream, group: Group): FastCgiConnection {
    const { connectMs, trace, log } = this.#options
    const emit = (line: string): void => log.info({ upstream: upstream.name }, line)
    const connection = new FastCgiConnection({
      address: upstream.address,
      connectMs,
      trace: trace ? createTrace(emit) : undefined,
      onHeard: () => group.unheard.delete(connection),
      onGone: () => this.#gone(group, connection),
    })
    group.open.add(connection)
    group.unheard.set(connection, performance.now())
    this.#all.add(connection)
    return connection
  }

  #gone(group: Group, connection: FastCgiConnection): void {
    this.#all.delete(connection)
    group.open.delete(connection)
    group.unheard.delete(connection)
    const at = group.idle.indexOf(connection)
    if (at !== -1) group.idle.splice(at, 1)
  }
}

/** A connection that is kept for longer will not be closed because of its last request. */
const settledMs = 50
/** How long a new connection may wait for its first byte before others make room for it. */
const patienceMs = 25
/** More requests at once than any program can mean. */
const mostRequests = 1_024
