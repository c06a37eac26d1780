/**
 * What was measured on: the facts that a reader needs to judge or repeat a run. Nothing is executed.
 */
import { cpus, release, totalmem, type } from 'node:os'

export interface Machine {
  /** Model of the processor, `unknown` where the system does not tell. */
  readonly cpu: string
  readonly cores: number
  readonly memoryMiB: number
  /** `Linux 6.1.0`. */
  readonly system: string
  /** `x64`, `arm64`. */
  readonly architecture: string
}

/** This machine. */
export function describeMachine(): Machine {
  const processors = cpus()
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    system: `${type()} ${release()}`,
    architecture: process.arch,
  }
}
