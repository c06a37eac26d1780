/**
 * The way to the head of one run's answer: informational responses before it, local redirects that are
 * none because a body follows.
 *
 * Holds no bytes; the parser behind it is bounded. Knows nothing of processes and time.
 */
import type { GatewayError } from '../errors.js'
import type { ResponseHead } from './response-head.js'

/** Turns bytes of stdout into a head: the parser, or something that needs none. */
export interface HeadSource {
  /** The head and what follows it, once it is complete. @throws GatewayError when it is none */
  push(chunk: Buffer): HeadRead | undefined
  /** Why there is no head when the output ends here. */
  finish(): GatewayError
}

/** A head and the bytes of the body that came with it. */
export interface HeadRead {
  readonly head: ResponseHead
  readonly rest: Buffer
}

export class HeadReader {
  readonly #newSource: () => HeadSource
  readonly #inform: (head: ResponseHead) => void
  readonly #redirects: boolean
  #source: HeadSource
  /** A local redirect for as long as no body follows (RFC 3875 §6.2.2). */
  #candidate: ResponseHead | undefined

  /**
   * `inform` gets the informational heads (E-23). Without `redirects` every redirect is the client's to
   * follow (E-12), and its head is given at once.
   */
  constructor(newSource: () => HeadSource, inform: (head: ResponseHead) => void, redirects = true) {
    this.#newSource = newSource
    this.#inform = inform
    this.#redirects = redirects
    this.#source = newSource()
  }

  /** @throws GatewayError when the program printed something that is no head */
  push(chunk: Buffer): HeadRead | undefined {
    // With a body behind it a local redirect is the client's to follow (E-8).
    if (this.#candidate !== undefined) return { head: plain(this.#candidate), rest: chunk }
    let read = this.#source.push(chunk)
    while (read !== undefined && read.head.status < 200) {
      this.#inform(read.head)
      this.#source = this.#newSource()
      if (read.rest.length === 0) return undefined
      read = this.#source.push(read.rest)
    }
    if (read?.head.localRedirect === undefined) return read
    if (read.rest.length > 0 || !this.#redirects) {
      return { head: plain(read.head), rest: read.rest }
    }
    this.#candidate = read.head
    return undefined
  }

  /** The output has ended: the local redirect that it was, or why there is no head. */
  finish(): ResponseHead | GatewayError {
    return this.#candidate ?? this.#source.finish()
  }

  /** Whether a head is known although `push` has not answered one. */
  get isLocalRedirect(): boolean {
    return this.#candidate !== undefined
  }
}

function plain(head: ResponseHead): ResponseHead {
  return { ...head, localRedirect: undefined }
}
