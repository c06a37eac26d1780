/**
 * One pass over the raw header fields: what the exchange must know before it can route.
 *
 * Pure. Works on `rawHeaders`, because node's own object drops repeated fields (conventions N-4).
 */
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'
import type { ServerLimits } from './config.js'

export interface RequestFacts {
  readonly hosts: readonly string[]
  /** Content-Length, or undefined without one. */
  readonly length: number | undefined
  /** A transfer coding frames the body: its length is not known. */
  readonly chunked: boolean
  readonly referer: ByteString | undefined
  readonly userAgent: ByteString | undefined
}

/**
 * Reads the fields of a request.
 * @throws GatewayError URI_TOO_LONG, HEAD_TOO_LARGE
 */
export function requestFacts(
  requestLineBytes: number,
  rawHeaders: readonly ByteString[],
  limits: ServerLimits,
): RequestFacts {
  if (requestLineBytes > limits.requestLineBytes) {
    const said = `${requestLineBytes} bytes; the limit is ${limits.requestLineBytes}.`
    throw new GatewayError('URI_TOO_LONG', said)
  }
  const count = rawHeaders.length / 2
  if (count > limits.headerCount) {
    throw new GatewayError('HEAD_TOO_LARGE', `${count} fields; the limit is ${limits.headerCount}.`)
  }
  const hosts: string[] = []
  let length: number | undefined
  let chunked = false
  let referer: ByteString | undefined
  let userAgent: ByteString | undefined
  let bytes = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    const value = rawHeaders[i + 1] ?? ''
    bytes += name.length + value.length + 4
    // The length of a name picks the few that are worth a comparison.
    switch (name.length) {
      case 4:
        if (name.toLowerCase() === 'host') hosts.push(value)
        break
      case 7:
        if (name.toLowerCase() === 'referer') referer ??= value
        break
      case 10:
        if (name.toLowerCase() === 'user-agent') userAgent ??= value
        break
      case 14:
        if (name.toLowerCase() === 'content-length') length = Number(value)
        break
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') chunked = true
        break
    }
  }
  if (bytes > limits.headBytes) {
    throw new GatewayError('HEAD_TOO_LARGE', `${bytes} bytes; the limit is ${limits.headBytes}.`)
  }
  return { hosts, length, chunked, referer, userAgent }
}
