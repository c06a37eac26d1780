/**
 * What a worker prints: every line into the log with its name and pid, never a wait for us (G-24).
 *
 * stderr lines are warnings, stdout lines information. Bounded by time: beyond `bytesPerSecond` a line
 * says how much was left out, so that a worker that floods costs neither the log nor the others.
 */
import type { LogFields, Logger } from '../log.js'
import type { Child, PipeReader } from '../process/spawner.js'
import { StderrLines } from '../process/stderr-lines.js'

/** Of each of the two streams. */
export const bytesPerSecond = 256 * 1024

/** How long children of a worker may keep its pipes open after its end. */
const drainMs = 250

/** The two streams of one worker. */
export class WorkerOutput {
  /** Settles when both streams have ended. */
  readonly closed: Promise<void>
  readonly #stderr: BoundedLines
  #tag: LogFields = {}

  constructor(child: Child, name: string, log: Logger) {
    const facts = { worker: name, pid: child.pid }
    const sink = (level: 'info' | 'warn') => (line: string) =>
      log[level]({ ...facts, ...this.#tag }, line)
    this.#stderr = new BoundedLines(sink('warn'))
    const lines = [
      drain(child.stdout, new BoundedLines(sink('info')), child.exited),
      drain(child.stderr, this.#stderr, child.exited),
    ]
    this.closed = Promise.all(lines).then(() => {})
  }

  /** What comes from now on belongs to this request: fields for the log. */
  tag(fields: LogFields): void {
    this.#tag = fields
  }

  /** The last of stderr, escaped, at most 4 KiB. */
  get tail(): string {
    return this.#stderr.tail
  }
}

function drain(reader: PipeReader, lines: BoundedLines, exited: Promise<unknown>): Promise<void> {
  return new Promise(resolve => {
    let timer: NodeJS.Timeout | undefined
    let open = true
    const end = (): void => {
      open = false
      clearTimeout(timer)
      lines.end()
      resolve()
    }
    reader.start(chunk => {
      lines.push(chunk)
      reader.recycle(chunk)
    }, end)
    void exited.then(() => {
      if (!open) return
      timer = setTimeout(() => {
        reader.close()
        end()
      }, drainMs)
    })
  })
}

/** Lines up to a number of bytes in each second. */
export class BoundedLines {
  readonly #emit: (line: string) => void
  readonly #now: () => number
  readonly #lines: StderrLines
  #secondBegan = Number.NEGATIVE_INFINITY
  #bytes = 0
  #leftOut = 0

  /** `now`: milliseconds, monotonic. */
  constructor(emit: (line: string) => void, now = () => performance.now()) {
    this.#emit = emit
    this.#now = now
    this.#lines = new StderrLines({ capBytes: Number.POSITIVE_INFINITY, emit })
  }

  push(chunk: Buffer): void {
    const now = this.#now()
    if (now - this.#secondBegan >= 1_000) {
      this.#sayLeftOut()
      this.#secondBegan = now
      this.#bytes = 0
    }
    const taken = chunk.subarray(0, bytesPerSecond - this.#bytes)
    this.#bytes += taken.length
    this.#leftOut += chunk.length - taken.length
    if (taken.length > 0) this.#lines.push(taken)
  }

  end(): void {
    this.#lines.end()
    this.#sayLeftOut()
  }

  get tail(): string {
    return this.#lines.tail
  }

  #sayLeftOut(): void {
    if (this.#leftOut === 0) return
    this.#lines.end()
    this.#emit(`… ${this.#leftOut} bytes left out: more than ${bytesPerSecond} in a second`)
    this.#leftOut = 0
  }
}
