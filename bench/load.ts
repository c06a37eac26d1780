/**
 * Runs the load generator (`peers/load.c`) and the spawn loop (`peers/spawn-loop.c`) and reads their reports.
 *
 * The generator is a process of its own, in C: one written in Node would take a good part of the two cores
 * that the server is measured on.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** One run; latencies include the requests that were finished after the time was up. */
export interface LoadReport {
  readonly seconds: number
  /** Right answers within the time. */
  readonly requests: number
  /** Right answers after it. */
  readonly drained: number
  readonly errors: number
  readonly wrong: number
  readonly reconnects: number
  /** Bytes of answer bodies within the time. */
  readonly bytes: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** CPU time of the generator itself. */
  readonly cpuSeconds: number
  /** Clients that had less than a tenth of an even share of the right answers. */
  readonly starved: number
}

export interface SpawnReport {
  readonly seconds: number
  readonly starts: number
  readonly cpuSeconds: number
}

/** What every connection asks for again and again, and what a right answer is. */
export interface LoadRequest {
  /** On 127.0.0.1. */
  readonly port: number
  readonly path: string
  readonly clients: number
  readonly seconds: number
  /** Undefined: GET. */
  readonly postBytes: number | undefined
  /** Length of a right answer's body; its status is 200. */
  readonly answerBytes: number
}

const run = promisify(execFile)

/** Runs the load generator `program`; rejects when the server cannot be reached. */
export async function runLoad(program: string, request: LoadRequest): Promise<LoadReport> {
  const { port, path, clients, seconds, postBytes = -1, answerBytes } = request
  const args = [port, path, clients, seconds, postBytes, 200, answerBytes].map(String)
  const { stdout } = await run(program, args)
  return JSON.parse(stdout) as LoadReport
}

/** Starts of `target` per second without any server, by the spawn loop `program`. */
export async function runSpawnLoop(
  program: string,
  target: string,
  seconds: number,
): Promise<SpawnReport> {
  const { stdout } = await run(program, [target, String(seconds)])
  return JSON.parse(stdout) as SpawnReport
}
