/**
 * Reads what wait4(2) wrote: the status word and struct rusage of a 64-bit Linux. Pure.
 */
import { constants } from 'node:os'
import type { ProgramExit, ProgramUsage } from '../gateway.js'

/** sizeof(struct rusage). */
export const usageBytes = 144

const signalNames = new Map(Object.entries(constants.signals).map(([name, n]) => [n, name]))

/** Exit status or signal and CPU time from the raw words; `peakOf` corrects ru_maxrss (KiB). */
export function exitOf(
  status: number,
  usage: Buffer,
  peakOf: (waitedKiB: number) => number | undefined,
): ProgramExit {
  return exitWith(status, {
    userUs: microseconds(usage, 0),
    systemUs: microseconds(usage, 16),
    maxRssKiB: peakOf(word(usage, 32)),
  })
}

/** The status word of wait(2), and what was used. */
export function exitWith(status: number, usage: ProgramUsage): ProgramExit {
  const signal = status & 0x7f
  return {
    code: signal === 0 ? (status >> 8) & 0xff : undefined,
    signal: signal === 0 ? undefined : (signalNames.get(signal) ?? `SIG${signal}`),
    usage,
  }
}

/** Nobody could tell. */
export const unknownExit: ProgramExit = { code: undefined, signal: undefined, usage: undefined }

function microseconds(usage: Buffer, offset: number): number {
  return word(usage, offset) * 1_000_000 + word(usage, offset + 8)
}

/** A `long`: read in two halves, as no value here comes near 2^53. */
function word(usage: Buffer, offset: number): number {
  return usage.readUInt32LE(offset) + usage.readUInt32LE(offset + 4) * 0x1_0000_0000
}
