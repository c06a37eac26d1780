/**
 * What may happen to a request whose worker is killed, and what may not: the claim of the chaos run. Pure.
 *
 * A request fails only when it was at a worker that was killed before, and had begun to be answered or is not
 * safe to repeat; one that is not safe is never at two workers. One that is safe is given up when it was at
 * `mostKilled` workers that were killed: it may be what kills them. All others have their right answer.
 */
import type { Outcome } from './chaos-client.js'
import type { Visit } from './chaos-notes.js'

/** What is known from elsewhere. */
export interface Evidence {
  /** The workers that had the request and had begun to read it. */
  visits(id: string): readonly Visit[]
  /** When the worker was killed, by performance.now; undefined: it was not. */
  killedAt(pid: number): number | undefined
  /** The worker that was sent the request, by the server's own log; undefined: none, or it still lives. */
  sentTo(id: string): number | undefined
}

/** `fault` is not allowed; the others are. */
export interface Verdict {
  readonly kind: 'fine' | 'repeated' | 'begun' | 'unsafe' | 'givenUp' | 'fault'
  readonly why: string
}

/** After so many workers that died of it, or beside it, a request is sent to no other. */
export const mostKilled = 3

/** Judges one request. */
export function judge(outcome: Outcome, evidence: Evidence): Verdict {
  const { id, method, status, text, whole, endedAt } = outcome
  const visits = evidence.visits(id)
  const wasKilled = (pid: number): boolean => (evidence.killedAt(pid) ?? endedAt + 1) <= endedAt
  const fault = (why: string): Verdict => {
    const seen = visits.map(({ pid, begun }) => `${pid}${begun ? ' begun' : ''}`).join(', ')
    const said = status === 200 ? text.trim() : ''
    return { kind: 'fault', why: `${method} /${id}: ${why}; ${status} ${said}; at [${seen}]` }
  }
  if (method === 'POST' && visits.length > 1) return fault('not safe to repeat, and repeated')
  if (status === 200 && whole) {
    const [answered, who, bytes] = text.split(/\s/)
    const pid = visits.at(-1)?.pid
    if (answered !== id || Number(bytes) !== outcome.bodyBytes) return fault('a wrong answer')
    if (Number(who) !== pid) return fault('an answer of another worker')
    if (!visits.slice(0, -1).every(visit => wasKilled(visit.pid))) {
      return fault('repeated though its worker lives')
    }
    return { kind: visits.length === 1 ? 'fine' : 'repeated', why: '' }
  }
  if (!visits.every(visit => wasKilled(visit.pid))) return fault('failed at a worker that lives')
  if (visits.some(({ begun }) => begun)) return { kind: 'begun', why: '' }
  const pids = new Set(visits.map(({ pid }) => pid))
  // It may have been on its way to a worker that was killed before it read it.
  const last = evidence.sentTo(id)
  if (last !== undefined && wasKilled(last)) pids.add(last)
  if (method === 'POST') {
    return pids.size > 0
      ? { kind: 'unsafe', why: '' }
      : fault('failed without having been anywhere')
  }
  if (pids.size >= mostKilled) return { kind: 'givenUp', why: `at ${pids.size} workers` }
  return fault('safe to repeat, and not repeated')
}
