/**
 * One connection of a web server to an SCGI responder, which is one request: variables, then the body; the
 * answer back, and its end is the end of the connection (H-4).
 *
 * Bounded by `maxHeadBytes` until the request begins, by `maxBufferedBytes` of a body that nobody reads (past
 * that the socket is paused), and by what the handler's stream gives at once.
 */
import type { Socket } from 'node:net'
import type { AppConnection } from '../cgi/app-listener.js'
import type { Channel, RequestOwner } from '../cgi/channel.js'
import { brokenOff, type Gate, Inlet } from '../cgi/inlet.js'
import type { ByteString } from '../gateway.js'
import { type ScgiRequest, ScgiRequestDecoder } from './request.js'
import type { ScgiResponderSettings } from './responder-options.js'

/** A part of the answer that waits for the end of the turn. */
interface Piece {
  readonly data: Buffer | string
  readonly encoding: BufferEncoding
}

/**
 * `head`: variables are coming. `request`: the handler has it. `answered`: all has been given to send.
 * `lingering`: all is sent, the rest of a body comes. `closed`: nothing more.
 */
type State = 'head' | 'request' | 'answered' | 'lingering' | 'closed'

export class ScgiConnection implements Channel, Gate, AppConnection {
  readonly stdin: Inlet
  owner: RequestOwner | undefined
  pairs: readonly ByteString[] = []
  params: ReadonlyMap<ByteString, ByteString> = new Map()
  readonly #socket: Socket
  readonly #settings: ScgiResponderSettings
  readonly #begin: (request: Channel) => void
  #decoder: ScgiRequestDecoder | undefined
  #state: State = 'head'
  #timer: NodeJS.Timeout | undefined
  /** Bytes of the body that have not come. */
  #bodyLeft = 0
  #pending: Piece[] = []
  /** Writes that the system has not taken. */
  #underWay = 0
  #scheduled = false

  constructor(socket: Socket, settings: ScgiResponderSettings, begin: (request: Channel) => void) {
    this.#socket = socket
    this.#settings = settings
    this.#begin = begin
    this.#decoder = new ScgiRequestDecoder(settings.maxHeadBytes)
    this.stdin = new Inlet(this, settings.maxBufferedBytes)
    this.#timer = setTimeout(() => this.#late(), settings.peerTimeoutMs)
    socket.on('data', chunk => this.#onData(chunk))
    // A FIN is a peer that has gone, as it is for FastCGI (G-17): web servers do not half-close.
    socket.on('end', () => this.#lost())
    socket.on('close', () => this.#lost())
    // A reset: `close` follows.
    socket.on('error', () => {})
  }

  drain(): void {
    if (this.#state === 'head' && this.#decoder?.isEmpty === true) this.#close()
  }

  hold(): void {
    this.#socket.pause()
  }

  release(): void {
    this.#socket.resume()
  }

  expectBody(): void {
    this.stdin.expect(this.params.get('CONTENT_LENGTH'))
  }

  send(data: Buffer | string, encoding: BufferEncoding): void {
    if (this.#state === 'request') this.#pending.push({ data, encoding })
    this.#schedule()
  }

  /** SCGI has no way to the web server's log. */
  sendError(data: Buffer): void {
    this.#settings.log(data.toString().trimEnd())
  }

  finish(): void {
    if (this.#state !== 'request') return
    this.#state = 'answered'
    this.stdin.close()
    this.#schedule()
  }

  /** The answer ends with its connection, so only a reset can say that it is not whole; unix sockets have none. */
  breakOff(): void {
    if (this.#state !== 'request') return
    // What `resetAndDestroy` sets; that would send a FIN first, which is the end of a whole answer.
    Object.assign(this.#socket, { resetAndClosing: this.#socket.remoteAddress !== undefined })
    this.#close()
    this.stdin.close()
  }

  #onData(chunk: Buffer): void {
    switch (this.#state) {
      case 'head':
        this.#readHead(chunk)
        return
      case 'request':
      case 'answered':
      case 'lingering':
        this.#takeBody(chunk)
        return
      case 'closed':
        return
      default:
        this.#state satisfies never
    }
  }

  #readHead(chunk: Buffer): void {
    const request = this.#decode(chunk)
    if (request === undefined) return
    const { pairs, variables, contentLength } = request.head
    this.pairs = pairs
    this.params = variables
    this.#bodyLeft = contentLength
    this.#decoder = undefined
    this.#state = 'request'
    clearTimeout(this.#timer)
    this.#begin(this)
    if (request.rest.length > 0) this.#onData(request.rest)
  }

  #decode(chunk: Buffer): ScgiRequest | undefined {
    try {
      return this.#decoder?.push(chunk)
    } catch (error) {
      this.#refuse(error instanceof Error ? error.message : String(error))
      return undefined
    }
  }

  /** What comes behind the body is dropped. */
  #takeBody(chunk: Buffer): void {
    this.#bodyLeft -= Math.min(chunk.length, this.#bodyLeft)
    this.stdin.push(chunk)
    // The rest of a body that was not read has come: now nothing is left to reset (G-50).
    if (this.#bodyLeft === 0 && this.#state === 'lingering') this.#close()
  }

  /** H-5: the application is not called. */
  #refuse(reason: string): void {
    this.#settings.log(`postern/fastcgi: ${reason} The connection is closed.`)
    this.#close()
  }

  #late(): void {
    if (this.#state === 'head') {
      this.#refuse(`The variables were not complete after ${this.#settings.peerTimeoutMs} ms.`)
    } else {
      this.#close()
    }
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    process.nextTick(flush, this)
  }

  /** Sends what there is in one write; called once per turn. */
  flush(): void {
    if (this.#state === 'request') this.owner?.beforeSending()
    this.#scheduled = false
    const pieces = this.#pending
    this.#pending = []
    this.#write(pieces)
    if (this.#state === 'answered') this.#end()
  }

  #write(pieces: readonly Piece[]): void {
    const socket = this.#socket
    const last = pieces.length - 1
    if (last < 0 || !socket.writable) {
      if (this.#underWay === 0) this.owner?.taken()
      return
    }
    this.#underWay++
    if (last > 0) socket.cork()
    for (let index = 0; index <= last; index++) {
      const piece = pieces[index]
      if (piece === undefined) continue
      if (index < last) socket.write(piece.data, piece.encoding)
      else socket.write(piece.data, piece.encoding, this.#onWritten)
    }
    if (last > 0) socket.uncork()
  }

  readonly #onWritten = (): void => {
    this.#underWay--
    if (this.#underWay === 0 && this.#pending.length === 0) this.owner?.taken()
  }

  /**
   * Closes once all is sent. While the peer still sends its body only our side is closed, and the rest
   * dropped: to close both would reset the answer at the peer (G-50).
   */
  #end(): void {
    if (this.#bodyLeft === 0) {
      this.#state = 'closed'
      this.#socket.destroySoon()
      return
    }
    this.#state = 'lingering'
    this.#socket.end()
    this.#timer = setTimeout(() => this.#late(), this.#settings.peerTimeoutMs)
  }

  #close(): void {
    this.#state = 'closed'
    clearTimeout(this.#timer)
    this.#socket.destroy()
  }

  /** The web server is gone. */
  #lost(): void {
    const inRequest = this.#state === 'request'
    // An answer that is complete is still sent.
    if (inRequest || this.#state === 'head') this.#socket.destroy()
    this.#state = 'closed'
    clearTimeout(this.#timer)
    if (!inRequest) return
    this.#pending = []
    const error = brokenOff()
    this.owner?.abandoned(error)
    this.stdin.fail(error)
  }
}

function flush(connection: ScgiConnection): void {
  connection.flush()
}
