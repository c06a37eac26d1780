/**
 * Every record of a connection as a readable line: `postern call --trace`, and `trace: true` on a route.
 *
 * Watches bytes that others write and read, each direction on its own, and never throws: bytes that are no
 * records become a line that says so, and that direction is not followed further. Has framing of its own
 * rather than `RecordDecoder`, since it wants lengths and speaks of what the decoder refuses. Bounded: lines,
 * shown content, and pairs that are not whole in at most `maxOpenPairs` requests.
 */
import { readableBytes } from '../process/stderr-lines.js'
import { headerBytes, keepConnectionFlag, recordType, version } from './record.js'
import { PairTrace } from './trace-pairs.js'

/** What watches a connection; `sent` and `received` are as seen from here. The bytes are not kept. */
export interface RecordTrace {
  sent(bytes: Buffer): void
  received(bytes: Buffer): void
  /** The connection is closed: says what was left unfinished. Further calls do nothing. */
  ended(): void
}

/** Bytes of a stream's content, and characters of pairs, in one line. */
const shownBytes = 200
const shownPairs = 4_000
const maxOpenPairs = 16

/** `> ` lines are records sent, `< ` records received: `> 1 PARAMS 33 bytes: REQUEST_METHOD=GET QUERY_STRING=`. */
export function createTrace(emit: (line: string) => void): RecordTrace {
  const sent = new Direction('>', emit)
  const received = new Direction('<', emit)
  let closed = false
  return {
    sent: bytes => sent.push(bytes),
    received: bytes => received.push(bytes),
    ended: () => {
      if (closed) return
      closed = true
      sent.end()
      received.end()
      emit('= closed')
    },
  }
}

/** Names of the types as the specification writes them, by code. */
const typeNames: readonly (string | undefined)[] = [
  undefined,
  ...['BEGIN_REQUEST', 'ABORT_REQUEST', 'END_REQUEST', 'PARAMS', 'STDIN', 'STDOUT', 'STDERR'],
  ...['DATA', 'GET_VALUES', 'GET_VALUES_RESULT', 'UNKNOWN_TYPE'],
]
const roleNames: readonly (string | undefined)[] = [undefined, 'responder', 'authorizer', 'filter']
const statusNames = ['complete', 'cannot-multiplex', 'overloaded', 'unknown-role'] as const
/** Bodies that are fixed by the specification (§4.2, §5.1, §5.5). */
const fixedBodyBytes = 8

class Direction {
  readonly #mark: string
  readonly #emit: (line: string) => void
  readonly #header = Buffer.alloc(headerBytes)
  #headerHave = 0
  /** The first bytes of the content, or of the pairs in it, as text. */
  readonly #shown = Buffer.alloc(shownBytes)
  #shownHave = 0
  #pairs = ''
  #hiddenPairs = 0
  #contentLeft = 0
  #paddingLeft = 0
  #inRecord = false
  #lost = false
  /** Requests whose last PARAMS record ended in the middle of a pair. */
  readonly #openPairs = new Map<number, PairTrace>()

  constructor(mark: string, emit: (line: string) => void) {
    this.#mark = mark
    this.#emit = emit
  }

  push(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length && !this.#lost) {
      at = this.#inRecord ? this.#readBody(bytes, at) : this.#readHeader(bytes, at)
    }
  }

  end(): void {
    if (this.#lost) return
    if (this.#inRecord) {
      const missing = this.#contentLeft + this.#paddingLeft
      this.#say(`${this.#name()} broke off: ${missing} bytes of the record are missing`)
    } else if (this.#headerHave > 0) {
      this.#emit(`${this.#mark} broke off after ${this.#headerHave} bytes of a record’s header`)
    }
  }

  #readHeader(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + headerBytes - this.#headerHave)
    this.#headerHave += bytes.copy(this.#header, this.#headerHave, at, end)
    if (this.#header[0] !== version) return this.#noRecord(end)
    if (this.#headerHave < headerBytes) return end
    this.#headerHave = 0
    this.#contentLeft = this.#contentBytes
    this.#paddingLeft = this.#header[6] ?? 0
    this.#shownHave = 0
    this.#pairs = ''
    this.#hiddenPairs = 0
    this.#inRecord = true
    this.#finish()
    return end
  }

  #readBody(bytes: Buffer, at: number): number {
    const contentEnd = Math.min(bytes.length, at + this.#contentLeft)
    if (contentEnd > at) this.#takeContent(bytes.subarray(at, contentEnd))
    this.#contentLeft -= contentEnd - at
    const end = Math.min(bytes.length, contentEnd + this.#paddingLeft)
    this.#paddingLeft -= end - contentEnd
    this.#finish()
    return end
  }

  #takeContent(piece: Buffer): void {
    if (!hasPairs(this.#type)) {
      this.#shownHave += piece.copy(this.#shown, this.#shownHave)
      return
    }
    let open = this.#openPairs.get(this.#id)
    if (open === undefined) {
      const [oldest] = this.#openPairs.keys()
      if (oldest !== undefined && this.#openPairs.size >= maxOpenPairs)
        this.#openPairs.delete(oldest)
      open = new PairTrace()
      this.#openPairs.set(this.#id, open)
    }
    open.push(piece, text => {
      if (this.#pairs.length + text.length > shownPairs) this.#hiddenPairs++
      else this.#pairs += ` ${text}`
    })
  }

  /** The line of a record that is whole, padding and all. */
  #finish(): void {
    if (this.#contentLeft > 0 || this.#paddingLeft > 0) return
    this.#inRecord = false
    const type = this.#type
    // Pairs of a GET_VALUES end with their record, those of PARAMS with the record that is empty.
    if (hasPairs(type) && (type !== recordType.params || this.#contentBytes === 0)) {
      this.#openPairs.delete(this.#id)
    }
    const short = hasFixedBody(type) && this.#contentBytes < fixedBodyBytes
    if (short) this.#lost = true
    this.#say(
      short
        ? `${this.#name()} broken: a body of ${this.#contentBytes} bytes, not ${fixedBodyBytes}; not followed further`
        : this.#describe(type),
    )
  }

  #describe(type: number): string {
    const name = this.#name()
    const body = this.#shown
    switch (type) {
      case recordType.beginRequest: {
        const role = body.readUInt16BE(0)
        const kept = ((body[2] ?? 0) & keepConnectionFlag) === 0 ? '' : ' keep-conn'
        return `${name} ${roleNames[role] ?? `role ${role}`}${kept}`
      }
      case recordType.abortRequest:
        return name
      case recordType.endRequest: {
        const status = body[4] ?? 0
        const said = statusNames[status] ?? `protocol status ${status}`
        return `${name} app ${body.readUInt32BE(0)} ${said}`
      }
      case recordType.unknownType:
        return `${name} ${body[0]}`
      default:
        return `${name} ${this.#content(type)}`
    }
  }

  /** `end`, or the length with what is shown of it. */
  #content(type: number): string {
    const length = this.#contentBytes
    if (length === 0) return isStream(type) ? 'end' : '0 bytes'
    const bytes = `${length} ${length === 1 ? 'byte' : 'bytes'}`
    if (hasPairs(type)) {
      const hidden = this.#hiddenPairs === 0 ? '' : ` … and ${this.#hiddenPairs} more`
      return `${bytes}:${this.#pairs}${hidden}`
    }
    const cut = length > this.#shownHave ? '…' : ''
    return `${bytes}: ${readableBytes(this.#shown.subarray(0, this.#shownHave))}${cut}`
  }

  #noRecord(end: number): number {
    this.#lost = true
    const seen = readableBytes(this.#header.subarray(0, this.#headerHave))
    this.#emit(`${this.#mark} broken: no FastCGI record begins with ${seen}; not followed further`)
    return end
  }

  #say(text: string): void {
    this.#emit(`${this.#mark} ${this.#id} ${text}`)
  }

  #name(): string {
    return typeNames[this.#type] ?? `type ${this.#type}`
  }

  get #type(): number {
    return this.#header[1] ?? 0
  }

  get #id(): number {
    return this.#header.readUInt16BE(2)
  }

  get #contentBytes(): number {
    return this.#header.readUInt16BE(4)
  }
}

function hasPairs(type: number): boolean {
  const { params, getValues, getValuesResult } = recordType
  return type === params || type === getValues || type === getValuesResult
}

function hasFixedBody(type: number): boolean {
  const { beginRequest, endRequest, unknownType } = recordType
  return type === beginRequest || type === endRequest || type === unknownType
}

function isStream(type: number): boolean {
  return type >= recordType.params && type <= recordType.data
}
