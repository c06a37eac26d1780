/**
 * Sends the requests of one gateway over its connections: an attempt for each.
 *
 * The FastCGI side of `backend/dispatch.ts`; holds nothing besides the connections.
 */
import type { DispatchOwner, Sender } from '../backend/dispatch.js'
import { isSafeToRepeat } from '../backend/repeat.js'
import { Attempt, type AttemptOwner, type SentRequest } from './attempt.js'
import type { Connections } from './connections.js'

/** Who has a request sent and is told what comes back. */
export type RunOwner = DispatchOwner & AttemptOwner
export type Attempts = Sender<SentRequest, RunOwner, Attempt>

/** Attempts on these connections. */
export function attemptsOn(connections: Connections): Attempts {
  return {
    prepared: upstream => connections.prepared(upstream),
    send: (upstream, fresh, request, sent, owner) => {
      const isSafe = isSafeToRepeat(request.method, sent.body)
      const connection = fresh ? connections.fresh(upstream) : connections.take(upstream, isSafe)
      const isShared = !fresh && connections.shares(upstream)
      try {
        return new Attempt(upstream, connection, isShared, sent, owner)
      } catch (error) {
        connections.giveBack(upstream, connection, true)
        throw error
      }
    },
    giveBack: attempt => {
      const { upstream, connection } = attempt
      if (attempt.refusesSharing) connections.shareNoMore(upstream)
      connections.giveBack(upstream, connection, attempt.isClean)
    },
  }
}
