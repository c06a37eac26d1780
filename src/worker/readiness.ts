/**
 * When a worker that has been started counts as ready.
 *
 * Asked by the protocol's own question where there is one; else by having lived a moment, since a program
 * that cannot start mostly ends at once.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Address } from '../upstream/address.js'

/** Settles when the program answers; rejects when it does not yet. */
export type ReadyProbe = (address: Address, signal: AbortSignal) => Promise<void>

/** A worker nobody can ask is ready once it has lived this long. */
export const settledMs = 100
const betweenProbesMs = 50

/** Settles when the worker is ready, or when `signal` says that nobody wants to know any more. */
export async function untilReady(
  ready: ReadyProbe | undefined,
  address: Address,
  signal: AbortSignal,
): Promise<void> {
  if (ready === undefined) return wait(settledMs, signal)
  while (!signal.aborted) {
    try {
      await ready(address, signal)
      return
    } catch {
      // Not yet: whoever waits for too long is the supervisor's matter.
      await wait(betweenProbesMs, signal)
    }
  }
}

async function wait(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => {})
}
