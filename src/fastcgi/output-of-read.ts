/**
 * The STDOUT of one request out of one read from the connection, as one piece.
 *
 * libfcgi sends records of 8 KiB, and each piece that is handed on costs several writes to the client: contents
 * that follow one another are moved together, over the headers between them that were read already. So the read
 * must be the owner's to change. Pure; holds nothing beyond the read.
 */
const nothing = Buffer.alloc(0)

export class OutputOfRead {
  /** Whose output it is. */
  id = 0
  #read: Buffer = nothing
  #start = 0
  #end = 0
  #isTaken = false

  /** The next read; what was gathered before must have been taken. */
  begin(read: Buffer): void {
    this.#read = read
    this.#end = this.#start = 0
    this.#isTaken = false
  }

  /** Takes a piece of the read, behind all that was added before; false while another request's is in the way. */
  add(id: number, content: Buffer): boolean {
    const at = content.byteOffset - this.#read.byteOffset
    if (this.#start === this.#end) {
      this.id = id
      this.#start = at
      this.#end = at + content.length
      return true
    }
    if (id !== this.id) return false
    this.#read.copyWithin(this.#end, at, at + content.length)
    this.#end += content.length
    return true
  }

  /**
   * What was gathered; undefined when there is nothing. The first piece is part of the read, any other is a copy: so
   * whoever gives that piece back gives back the whole read.
   */
  take(): Buffer | undefined {
    const start = this.#start
    const end = this.#end
    if (start === end) return undefined
    this.#start = this.#end
    const piece = this.#read.subarray(start, end)
    if (this.#isTaken) return Buffer.from(piece)
    this.#isTaken = true
    return piece
  }
}
