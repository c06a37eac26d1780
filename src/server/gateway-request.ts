/**
 * From node:http's request to the GatewayRequest that every gateway is given.
 *
 * Copies nothing but a Host that an absolute-form target replaces. What a local redirect makes of a request
 * is here too.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type {
  ByteString,
  GatewayRequest,
  GatewayResponse,
  LeaveSignal,
  ProgramFacts,
} from '../gateway.js'
import type { RequestFacts } from './request-facts.js'
import type { Target } from './target.js'

/** What a GatewayRequest is made of. */
export interface RequestParts {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly id: string
  readonly target: Target
  /** What is left of the path below the route's prefix. */
  readonly rest: ByteString
  readonly facts: RequestFacts
  /** The client waits for `100 Continue`. */
  readonly waits: boolean
  readonly upgrade: ByteString | undefined
  readonly signal: LeaveSignal
  readonly program: ProgramFacts
}

/** The request, as it came. */
export function gatewayRequest(parts: RequestParts): GatewayRequest {
  const { req, res, target, facts, waits } = parts
  const { socket } = req
  return {
    id: parts.id,
    method: req.method ?? '',
    target: target.target,
    protocol: `HTTP/${req.httpVersion}`,
    path: target.path,
    rest: parts.rest,
    query: target.query,
    rawHeaders: withHost(req.rawHeaders, target),
    host: target.host,
    remote: endpoint(socket.remoteAddress, socket.remotePort),
    local: endpoint(socket.localAddress, socket.localPort),
    tls: 'encrypted' in socket,
    body: {
      length: facts.chunked ? undefined : facts.length,
      stream: facts.chunked || (facts.length ?? 0) > 0 ? req : undefined,
      invite: waits ? () => res.writeContinue() : nobodyWaits,
    },
    upgrade: parts.upgrade,
    signal: parts.signal,
    redirects: 0,
    authorized: undefined,
    inform: (status, headers) => inform(res, status, headers),
    facts: parts.program,
  }
}

const nobodyWaits = (): void => {}

/** RFC 3875 §6.2.2: what a GET of the other path would give; the body has been used up. */
export function redirected(
  request: GatewayRequest,
  target: Target,
  rest: ByteString,
  facts: ProgramFacts,
): GatewayRequest {
  return {
    ...request,
    method: request.method === 'HEAD' ? 'HEAD' : 'GET',
    target: target.target,
    path: target.path,
    rest,
    query: target.query,
    body: { length: undefined, stream: undefined, invite: () => {} },
    redirects: request.redirects + 1,
    // The new path may have an authorizer of its own, or none.
    authorized: undefined,
    facts,
  }
}

/** RFC 9112 §3.2.2: the authority of an absolute-form target replaces the Host field. */
function withHost(rawHeaders: readonly ByteString[], target: Target): readonly ByteString[] {
  const { authority } = target
  if (authority === undefined) return rawHeaders
  const headers = ['Host', authority]
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    if (name.toLowerCase() !== 'host') headers.push(name, rawHeaders[i + 1] ?? '')
  }
  return headers
}

function endpoint(address: string | undefined, port: number | undefined): GatewayRequest['remote'] {
  return { address: address ?? 'unix:', port }
}

/** E-23: only 103 means anything to a client; a Link that node refuses is left out. */
function inform(res: ServerResponse, status: number, headers: readonly ByteString[]): void {
  if (status !== 103 || res.headersSent || res.req.httpVersionMinor === 0) return
  const hints: Record<string, string | string[]> = {}
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]?.toLowerCase() ?? ''
    const value = headers[i + 1] ?? ''
    const earlier = hints[name]
    hints[name] = earlier === undefined ? value : [earlier, value].flat()
  }
  try {
    res.writeEarlyHints({ ...hints, link: hints.link ?? [] })
  } catch {
    // A hint is only a hint.
  }
}

/** E-6: a script that points at itself is the client's to follow. */
export function clientRedirect(response: GatewayResponse, location: ByteString): GatewayResponse {
  return {
    ...response,
    status: 302,
    headers: ['Location', location],
    localRedirect: undefined,
    length: 0,
  }
}
