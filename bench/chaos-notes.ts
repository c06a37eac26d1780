/**
 * What `programs/noting-worker.mjs` has written down: which worker had which request, and how far it was.
 *
 * Reads the file from where it stopped the last time. Grows by an entry per request.
 */
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs'

/** One worker that had a request. */
export interface Visit {
  readonly pid: number
  /** It was about to write the first byte of the answer, or had. */
  begun: boolean
}

const chunkBytes = 1024 * 1024

export class WorkerNotes {
  /** Workers that have been asked whether they are ready, in order. */
  readonly workers = new Set<number>()
  /** Requests that came to a worker while it had another one. */
  readonly overlaps: string[] = []
  /** Ids in the order in which workers had their heads. */
  readonly order: string[] = []
  readonly #path: string
  readonly #visits = new Map<string, Visit[]>()
  #offset = 0
  #rest = ''

  /** Empties the file at `path`. */
  constructor(path: string) {
    this.#path = path
    writeFileSync(path, '')
  }

  /** The workers that had the request, in order. */
  visitsOf(id: string): readonly Visit[] {
    return this.#visits.get(id) ?? []
  }

  /** Takes what was written since the last time. */
  read(): void {
    const file = openSync(this.#path, 'r')
    const buffer = Buffer.allocUnsafe(chunkBytes)
    for (;;) {
      const bytes = readSync(file, buffer, 0, chunkBytes, this.#offset)
      if (bytes === 0) break
      this.#offset += bytes
      const lines = (this.#rest + buffer.toString('latin1', 0, bytes)).split('\n')
      this.#rest = lines.pop() ?? ''
      for (const line of lines) this.#take(line)
    }
    closeSync(file)
  }

  #take(line: string): void {
    const [who, mark, id = ''] = line.split(' ')
    const pid = Number(who)
    switch (mark) {
      case 'ready':
        this.workers.add(pid)
        return
      case '+': {
        this.order.push(id)
        const visits = this.#visits.get(id)
        if (visits === undefined) this.#visits.set(id, [{ pid, begun: false }])
        else visits.push({ pid, begun: false })
        return
      }
      case '>': {
        const visit = this.#visits.get(id)?.findLast(each => each.pid === pid)
        if (visit !== undefined) visit.begun = true
        return
      }
      case '!':
        this.overlaps.push(`${id} at ${pid}`)
        return
    }
  }
}
