/**
 * The way out of one connection: what its requests produce in one turn of the event loop leaves in one write.
 *
 * Nothing is kept here beyond a turn: a request that has given something is told when the system has taken
 * it, and gives no more before. So the memory is bounded by what each writer gives at once.
 */
import type { Socket } from 'node:net'

/** Something with records to send. */
export interface OutputSource {
  /** Whether it is in the list; kept by the output. */
  queued: boolean
  /** Appends its records. */
  takeRecords(target: Buffer[]): void
  /** The system has taken them. */
  recordsTaken(): void
}

/** How the connection ends once all is sent: at once, or for writing only while the peer still sends. */
type Ending = 'both' | 'writing'

/** How long a peer may go on sending what nobody reads, after our side of the connection has ended. */
const lingerMs = 30_000

export class ResponderOutput {
  readonly #socket: Socket
  #queue: OutputSource[] = []
  /** Records of the connection itself. */
  #records: Buffer[] = []
  #scheduled = false
  #ending: Ending | undefined
  /** Batches that the system has not taken yet, oldest first. */
  readonly #batches: OutputSource[][] = []
  readonly #onWritten = (): void => {
    for (const source of this.#batches.shift() ?? []) source.recordsTaken()
  }

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** The source has something to send: it is asked for it at the end of this turn. */
  mark(source: OutputSource): void {
    if (source.queued) return
    source.queued = true
    this.#queue.push(source)
    this.#schedule()
  }

  /** Sends a record of the connection itself. */
  record(record: Buffer): void {
    this.#records.push(record)
    this.#schedule()
  }

  /** Closes the connection when everything has been sent. */
  end(ending: Ending): void {
    this.#ending = ending
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    process.nextTick(flush, this)
  }

  /** Sends what is there; called once per turn. */
  flush(): void {
    this.#scheduled = false
    const sources = this.#queue
    const buffers = this.#records
    this.#queue = []
    this.#records = []
    for (const source of sources) {
      source.takeRecords(buffers)
      source.queued = false
    }
    this.#write(buffers, sources)
    if (this.#ending === 'both') this.#socket.destroySoon()
    if (this.#ending !== 'writing') return
    this.#socket.end()
    this.#socket.setTimeout(lingerMs, () => this.#socket.destroy())
  }

  #write(buffers: readonly Buffer[], sources: OutputSource[]): void {
    const socket = this.#socket
    if (buffers.length === 0 || !socket.writable) {
      for (const source of sources) source.recordsTaken()
      return
    }
    this.#batches.push(sources)
    const last = buffers.length - 1
    if (last > 0) socket.cork()
    for (let index = 0; index < last; index++) socket.write(buffers[index] ?? '')
    socket.write(buffers[last] ?? '', this.#onWritten)
    if (last > 0) socket.uncork()
  }
}

function flush(output: ResponderOutput): void {
  output.flush()
}
