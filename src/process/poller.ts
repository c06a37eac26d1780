/**
 * Tells which of many descriptors is ready, through one epoll set that a pool thread waits on.
 *
 * Why not a node:net socket per pipe: a process brings three descriptors that live for a few
 * milliseconds, and a stream object for each costs more CPU than the rest of the request. Here a
 * descriptor costs two system calls. What grows: one entry per watched descriptor. While nothing is
 * watched no thread waits and nothing keeps the event loop alive.
 */
import { closeOnExec, type Libc, nonBlocking } from './libc.js'

/** Bits of an event, as in epoll_ctl(2). */
export const readable = 0x1
export const writable = 0x4
export const failed = 0x8
export const hungUp = 0x10

/** Called with the bits that are set. */
export type OnReady = (events: number) => void

interface Watch {
  readonly generation: number
  readonly onReady: OnReady
}

const addOperation = 1
const removeOperation = 2
const batch = 256
/** epoll_wait comes back at least this often, so that a lost wake-up cannot hold an exit for long. */
const longestWaitMs = 1_000
/** Rounds without leaving the thread before the pool thread is asked again. */
const quickRounds = 4

/** struct epoll_event is packed on x86-64 only. */
const eventBytes = process.arch === 'x64' ? 12 : 16
const dataOffset = process.arch === 'x64' ? 4 : 8

export class Poller {
  readonly #libc: Libc
  readonly #epoll: number
  readonly #wakeUp: number
  readonly #event = Buffer.alloc(eventBytes)
  readonly #events = Buffer.alloc(eventBytes * batch)
  /** By descriptor, since the system gives out small numbers again and again; a Map makes garbage (`slots.ts`). */
  readonly #watches: (Watch | undefined)[] = []
  #watched = 0
  #generation = 0
  #waiting = false
  readonly #wake = (): void => {
    this.#libc.write(this.#wakeUp, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]), 8)
  }

  constructor(libc: Libc) {
    this.#libc = libc
    this.#epoll = libc.epollCreate(closeOnExec)
    this.#wakeUp = libc.eventfd(0, closeOnExec | nonBlocking)
    if (this.#epoll < 0 || this.#wakeUp < 0) throw new Error('no descriptor for epoll')
    this.#control(addOperation, this.#wakeUp, readable)
  }

  /** Watches a descriptor until `remove`; `hungUp` and `failed` are always reported. Level-triggered. */
  add(fd: number, events: number, onReady: OnReady): void {
    // A descriptor number may be closed and given out again within one batch of events: the generation
    // in the event's data tells an old event from a new one.
    this.#generation = (this.#generation + 1) >>> 0
    if (this.#watches[fd] === undefined) this.#watched++
    this.#watches[fd] = { generation: this.#generation, onReady }
    this.#control(addOperation, fd, events)
    this.#wait()
  }

  /** Stops watching a descriptor that stays open. */
  remove(fd: number): void {
    if (this.#watches[fd] === undefined) return
    this.#watches[fd] = undefined
    this.#watched--
    this.#control(removeOperation, fd, 0)
  }

  /**
   * Takes a descriptor out of the set and closes it. Closing alone would not do: a child that is being
   * started holds a copy until it executes, its events would come without end and keep it from executing.
   */
  close(fd: number): void {
    this.remove(fd)
    this.#libc.close(fd)
  }

  #control(operation: number, fd: number, events: number): void {
    this.#event.writeUInt32LE(events, 0)
    this.#event.writeInt32LE(fd, dataOffset)
    this.#event.writeUInt32LE(this.#generation, dataOffset + 4)
    this.#libc.epollCtl(this.#epoll, operation, fd, this.#event)
  }

  #wait(): void {
    if (this.#waiting || this.#watched === 0) return
    this.#waiting = true
    // Node joins the pool's threads when it exits: one that waits here must be woken.
    process.once('exit', this.#wake)
    this.#libc.epollWaitAsync(this.#epoll, this.#events, batch, longestWaitMs, (_error, ready) => {
      this.#dispatch(ready, quickRounds)
    })
  }

  /** Calls what is ready, then looks again without a thread: under load there is more already. */
  #dispatch(ready: number, rounds: number): void {
    try {
      for (let i = 0; i < ready; i++) this.#call(i * eventBytes)
    } finally {
      if (ready > 0 && rounds > 0 && this.#watched > 0) {
        setImmediate(() => {
          const more = this.#libc.epollWait(this.#epoll, this.#events, batch, 0)
          this.#dispatch(more, rounds - 1)
        })
      } else {
        process.off('exit', this.#wake)
        this.#waiting = false
        this.#wait()
      }
    }
  }

  #call(offset: number): void {
    const fd = this.#events.readInt32LE(offset + dataOffset)
    const watch = this.#watches[fd]
    if (watch?.generation !== this.#events.readUInt32LE(offset + dataOffset + 4)) return
    watch.onReady(this.#events.readUInt32LE(offset))
  }
}
