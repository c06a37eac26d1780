/**
 * The failure of a start for people: which command, how it ended, what it said.
 *
 * Text only. The message may have several lines: the first says what happened, the others are the last
 * lines of stderr, escaped.
 */
import { ListenError } from '../process/listen-socket.js'
import type { Worker } from './worker.js'

/** The workers never became ready. */
export class WorkersFailed extends Error {
  override readonly name = 'WorkersFailed'
  /** The command as it would be typed. */
  readonly command: string
  /** `it ended with exit status 1 before it was ready`. */
  readonly reason: string
  /** The last lines of stderr, escaped; may be empty. */
  readonly stderr: string

  constructor(
    { command, reason, stderr }: { command: readonly string[]; reason: string; stderr: string },
    cause?: unknown,
  ) {
    const line = command.join(' ')
    const lastWords = lastLines(stderr)
    super(
      `the worker ${line} did not start: ${reason}${
        lastWords === '' ? '' : `; the end of its stderr:\n${lastWords}`
      }`,
      { cause },
    )
    this.command = line
    this.reason = reason
    this.stderr = lastWords
  }
}

const mostLines = 20

function lastLines(stderr: string): string {
  return stderr.trimEnd().split('\n').slice(-mostLines).join('\n')
}

/** How a worker ended, as the end of a sentence about it. */
export function describeEnd({
  fault,
  failure,
  exit,
  wasReady,
}: Pick<Worker, 'fault' | 'failure' | 'exit' | 'wasReady'>): string {
  if (fault !== undefined) return `it ${fault}`
  if (failure !== undefined) return failure.message
  const how =
    exit?.signal === undefined ? `exit status ${exit?.code ?? '?'}` : `signal ${exit.signal}`
  return `it ended with ${how}${wasReady ? '' : ' before it was ready'}`
}

/** The failure of one worker as that of the start. */
export function failureOf(worker: Worker, command: readonly string[]): WorkersFailed {
  const { stderr, failure } = worker
  return new WorkersFailed({ command, reason: describeEnd(worker), stderr }, failure)
}

/** No socket to give to workers: by the address, or by what this machine lacks. */
export function withoutSocket(command: readonly string[], cause: unknown): WorkersFailed {
  const problem = cause instanceof Error ? cause.message : String(cause)
  const remedy =
    cause instanceof ListenError
      ? ''
      : '; workers need a blocking socket, which is opened through koffi on Linux with glibc: install it, ' +
        'leave POSTERN_SPAWN unset, or start the workers yourself and give their address'
  return new WorkersFailed({ command, reason: `${problem}${remedy}`, stderr: '' }, cause)
}
