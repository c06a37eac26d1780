/**
 * A FastCGI application that does what a test says, byte by byte, right or wrong.
 *
 * Reads records by the tables of the specification, not with our decoder, and calls the script of the path
 * (PATH_INFO) once PARAMS have ended. Listens on a unix socket of its own, or on port 0; closed in teardown.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Address } from '../../src/upstream/address.js'
import {
  ABORT,
  BEGIN,
  DATA,
  end,
  GET_VALUES,
  PARAMS,
  record,
  STDERR,
  STDIN,
  STDOUT,
} from './fastcgi-bytes.js'
import { tempRoot } from './temp-root.js'
import { waitFor } from './wait-for.js'

/** A record as it came. */
export interface SeenRecord {
  readonly type: number
  readonly id: number
  readonly content: Buffer
  readonly padding: number
}

/** One request as the application sees it. */
export interface SeenRequest {
  readonly id: number
  readonly role: number
  readonly flags: number
  readonly params: ReadonlyMap<string, string>
  /** Which connection it came on, from 0. */
  readonly connection: number
  readonly socket: Socket
  /** Its records in order. */
  readonly records: readonly SeenRecord[]
  readonly aborted: boolean
  /** Waits for the end of STDIN and gives it. */
  body(): Promise<Buffer>
  /** Sends bytes as they are; false when they wait here. */
  send(...bytes: readonly Buffer[]): boolean
  /** STDOUT in one record, its end, END_REQUEST: in one write. */
  answer(text: string): void
}

export type Script = (request: SeenRequest) => void

export interface ScriptedWorker {
  readonly address: Address
  /** All requests so far, in order of their BEGIN. */
  readonly requests: readonly SeenRequest[]
  /** Connections so far, and those that are open. */
  readonly connections: number
  readonly open: number
  /** Closes all connections. */
  hangUp(): void
  /** Listens no more and closes all connections; answers when the address is free. */
  stop(): Promise<void>
}

export interface WorkerOptions {
  /** What GET_VALUES gets; undefined: silence. */
  readonly values?: (socket: Socket, content: Buffer) => void
  /** Port 0 of 127.0.0.1 instead of a unix socket. */
  readonly tcp?: boolean
  /** Path of the unix socket. */
  readonly path?: string
}

/** A whole answer in one buffer. */
export function answerBytes(id: number, text: string): Buffer {
  return Buffer.concat([record(STDOUT, id, text), record(STDOUT, id), end(id)])
}

/** A line on STDERR. */
export function stderrBytes(id: number, text: string): Buffer {
  return record(STDERR, id, text)
}

/** Starts one; a path without a script is answered with its name. */
export async function startWorker(
  t: Test,
  scripts: Readonly<Record<string, Script>> = {},
  options: WorkerOptions = {},
): Promise<ScriptedWorker> {
  const requests: Seen[] = []
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    // Who is at the other end may break off: that is what is tested.
    socket.on('error', () => {})
    socket.on('end', () => socket.end())
    const index = connections++
    const running = new Map<number, Seen>()
    readRecords(socket, seen => {
      if (seen.type === GET_VALUES) {
        options.values?.(socket, seen.content)
        return
      }
      if (seen.type === BEGIN) {
        const request = new Seen(seen, index, socket)
        requests.push(request)
        running.set(seen.id, request)
        return
      }
      const request = running.get(seen.id)
      request?.take(seen)
      if (request === undefined || seen.type !== PARAMS || seen.content.length > 0) return
      const path = request.params.get('PATH_INFO') ?? ''
      const script = scripts[path] ?? (asked => asked.answer(`\r\n${path}`))
      script(request)
    })
  })
  const hangUp = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  const stop = async (): Promise<void> => {
    hangUp()
    if (server.listening) await new Promise(resolve => server.close(resolve))
  }
  t.teardown(stop)
  return {
    address: await listen(t, server, options),
    requests,
    get connections() {
      return connections
    },
    get open() {
      return sockets.size
    },
    hangUp,
    stop,
  }
}

async function listen(t: Test, server: Server, options: WorkerOptions): Promise<Address> {
  if (options.tcp === true) {
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    return { kind: 'tcp', host: '127.0.0.1', port }
  }
  const path = options.path ?? join(tempRoot(t).path, 'worker.sock')
  await new Promise<void>(resolve => server.listen(path, resolve))
  return { kind: 'unix', path }
}

class Seen implements SeenRequest {
  readonly id: number
  readonly role: number
  readonly flags: number
  readonly connection: number
  readonly socket: Socket
  readonly records: SeenRecord[] = []
  aborted = false
  #stdinEnded = false
  #params: Map<string, string> | undefined

  constructor(begin: SeenRecord, connection: number, socket: Socket) {
    this.id = begin.id
    this.role = begin.content.readUInt16BE(0)
    this.flags = begin.content[2] ?? 0
    this.connection = connection
    this.socket = socket
    this.records.push(begin)
  }

  get params(): ReadonlyMap<string, string> {
    this.#params ??= readPairs(this.#stream(PARAMS))
    return this.#params
  }

  take(seen: SeenRecord): void {
    this.records.push(seen)
    if (seen.type === ABORT) this.aborted = true
    if (seen.type === STDIN && seen.content.length === 0) this.#stdinEnded = true
  }

  async body(): Promise<Buffer> {
    await waitFor('STDIN has ended', () => this.#stdinEnded)
    return this.#stream(STDIN)
  }

  /** The DATA stream of a filter, as far as it is here. */
  get data(): Buffer {
    return this.#stream(DATA)
  }

  send(...bytes: readonly Buffer[]): boolean {
    return this.socket.write(Buffer.concat(bytes))
  }

  answer(text: string): void {
    this.send(answerBytes(this.id, text))
  }

  #stream(type: number): Buffer {
    const contents = this.records.filter(seen => seen.type === type).map(seen => seen.content)
    return Buffer.concat(contents)
  }
}

function readRecords(socket: Socket, onRecord: (seen: SeenRecord) => void): void {
  let held: Buffer[] = []
  let bytes = 0
  let wanted = 8
  socket.on('data', chunk => {
    held.push(chunk)
    bytes += chunk.length
    if (bytes < wanted) return
    let all = Buffer.concat(held)
    for (;;) {
      if (all.length < 8) {
        wanted = 8
        break
      }
      const length = all.readUInt16BE(4)
      const padding = all[6] ?? 0
      wanted = 8 + length + padding
      if (all.length < wanted) break
      const content = Buffer.from(all.subarray(8, 8 + length))
      onRecord({ type: all[1] ?? 0, id: all.readUInt16BE(2), content, padding })
      all = all.subarray(wanted)
    }
    held = [all]
    bytes = all.length
  })
}

function readPairs(bytes: Buffer): Map<string, string> {
  const found = new Map<string, string>()
  let at = 0
  const length = (): number => {
    const first = bytes[at] ?? 0
    at += first < 128 ? 1 : 4
    return first < 128 ? first : bytes.readUInt32BE(at - 4) & 0x7fffffff
  }
  while (at < bytes.length) {
    const nameLength = length()
    const valueLength = length()
    const middle = at + nameLength
    found.set(
      bytes.toString('latin1', at, middle),
      bytes.toString('latin1', middle, middle + valueLength),
    )
    at = middle + valueLength
  }
  return found
}
