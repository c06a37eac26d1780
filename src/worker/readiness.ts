/**
 * When a worker that has been started counts as ready.
 *
 * By the answer to the protocol's own question where there is one. A worker on a shared socket cannot be
 * asked, since any of them may answer: it is ready when the system shows it waiting for connections, or
 * when it has lived for a while.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Address } from '../upstream/address.js'
import { isListening } from './process-facts.js'

/** Settles when the program answers; rejects when it does not yet. */
export type ReadyProbe = (address: Address, signal: AbortSignal) => Promise<void>

/** A worker that is not seen waiting for connections is ready once it has lived this long. */
export const settledMs = 1_000
const betweenLooksMs = 20
const betweenProbesMs = 50

/** Settles when the worker is ready, or when `signal` says that nobody wants to know any more. */
export async function untilReady(
  ready: ReadyProbe | undefined,
  address: Address,
  pid: number,
  signal: AbortSignal,
): Promise<void> {
  if (ready === undefined) return untilListening(pid, signal)
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

async function untilListening(pid: number, signal: AbortSignal): Promise<void> {
  for (let livedMs = 0; livedMs < settledMs && !signal.aborted; livedMs += betweenLooksMs) {
    if (isListening(pid)) return
    await wait(betweenLooksMs, signal)
  }
}

async function wait(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => {})
}
