/**
 * Whose forwarded fields are believed: addresses and networks of a route's `trusted` (H-13). Pure.
 */
import { BlockList, isIP } from 'node:net'

/** `10.0.0.0/8`, `127.0.0.1`, `::1`, `unix:`; undefined for what is none of these. */
export function readPeer(text: string): Peer | undefined {
  if (text === 'unix:') return { address: text, bits: 0, family: 'unix' }
  const [address = '', given, more] = text.split('/')
  const version = isIP(address)
  if (version === 0 || more !== undefined) return undefined
  const family = version === 4 ? 'ipv4' : 'ipv6'
  const most = version === 4 ? 32 : 128
  if (given === undefined) return { address, bits: most, family }
  const bits = /^\d{1,3}$/.test(given) ? Number(given) : most + 1
  return bits <= most ? { address, bits, family } : undefined
}

export interface Peer {
  readonly address: string
  readonly bits: number
  readonly family: 'ipv4' | 'ipv6' | 'unix'
}

export class TrustedPeers {
  readonly #list = new BlockList()
  readonly #isEmpty: boolean
  #unix = false

  /** @throws RangeError for what `readPeer` does not know */
  constructor(trusted: readonly string[]) {
    this.#isEmpty = trusted.length === 0
    for (const text of trusted) {
      const peer = readPeer(text)
      if (peer === undefined) throw new RangeError(`${text} is not an address`)
      if (peer.family === 'unix') this.#unix = true
      else this.#list.addSubnet(peer.address, peer.bits, peer.family)
    }
  }

  /** Whether the peer is one of them; `unix:` is the peer of a unix socket. */
  has(address: string): boolean {
    if (this.#isEmpty) return false
    if (address === 'unix:') return this.#unix
    return this.#list.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
  }
}
