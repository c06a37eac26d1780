/**
 * Clients on the one side, kill -9 of a worker at random on the other, and the count of what became of all
 * requests. The server is the caller's; so is what must be left of it afterwards.
 *
 * Grows by an entry per request, bounded by the duration.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { readProc } from '../src/bench/process-tree.js'
import { mixedWork, type Outcome, runClient, type Work } from './chaos-client.js'
import type { WorkerNotes } from './chaos-notes.js'
import { type Evidence, judge, type Verdict } from './chaos-verdict.js'

export interface ChaosOptions {
  /** `http://127.0.0.1:8000/prefix` of a route to noting workers. */
  readonly origin: string
  readonly notes: WorkerNotes
  readonly clients: number
  readonly durationMs: number
  /** Least and most time between two kills; undefined: nobody is killed. */
  readonly killEveryMs: readonly [number, number] | undefined
  /** Default: mixed. */
  readonly work?: readonly Work[]
  /** The worker that was sent a request, by the server's own log. */
  readonly sentTo: Evidence['sentTo']
}

export interface ChaosResult {
  readonly requests: number
  /** How many requests came to which end. */
  readonly ends: Readonly<Record<Verdict['kind'], number>>
  /** What must not have happened. */
  readonly faults: readonly string[]
  /** Pids in the order of their kills. */
  readonly killed: readonly number[]
  /** Workers that have been ready. */
  readonly workers: number
  readonly outcomes: readonly Outcome[]
}

/** Runs for the duration; settles when every client has had its last answer. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { origin, notes, clients, durationMs, killEveryMs, work = mixedWork } = options
  const outcomes: Outcome[] = []
  const killed = new Map<number, number>()
  const until = performance.now() + durationMs
  const going = (): boolean => performance.now() < until
  const running = Array.from({ length: clients }, (_, at) =>
    runClient(origin, `c${at}`, work, going, outcome => void outcomes.push(outcome)),
  )
  while (killEveryMs !== undefined && going()) {
    const [least, most] = killEveryMs
    await pause(least + Math.random() * (most - least))
    notes.read()
    killOne(notes, killed)
  }
  await Promise.all(running)
  notes.read()
  return count(outcomes, killed, options)
}

/** Kills one of those that live, whatever it does. */
function killOne(notes: WorkerNotes, killed: Map<number, number>): void {
  const living = [...notes.workers].filter(pid => !killed.has(pid) && isWorker(pid))
  const pid = living[Math.floor(Math.random() * living.length)]
  if (pid === undefined) return
  // Before the kill: whatever fails because of it fails later.
  killed.set(pid, performance.now())
  process.kill(pid, 'SIGKILL')
}

/** Not another process that has got the number. */
function isWorker(pid: number): boolean {
  return readProc(`${pid}/cmdline`)?.includes('noting-worker') === true
}

function count(
  outcomes: readonly Outcome[],
  killed: ReadonlyMap<number, number>,
  { notes, sentTo }: ChaosOptions,
): ChaosResult {
  const evidence: Evidence = {
    visits: id => notes.visitsOf(id),
    killedAt: pid => killed.get(pid),
    sentTo,
  }
  const ends = { fine: 0, repeated: 0, begun: 0, unsafe: 0, givenUp: 0, fault: 0 }
  const faults = notes.overlaps.map(overlap => `two requests at once: ${overlap}`)
  for (const outcome of outcomes) {
    const { kind, why } = judge(outcome, evidence)
    ends[kind]++
    if (kind === 'fault') faults.push(why)
  }
  return {
    requests: outcomes.length,
    ends,
    faults,
    killed: [...killed.keys()],
    workers: notes.workers.size,
    outcomes,
  }
}
