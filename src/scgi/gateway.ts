/**
 * Answers requests below one route by asking an SCGI application.
 *
 * A netstring of variables, the body behind it, an answer as a CGI program gives it until the connection ends:
 * all but the netstring is `backend/over-socket.ts`.
 */
import { SocketGateway, type SocketGatewayOptions } from '../backend/over-socket.js'
import type { Gateway } from '../gateway.js'
import type { ScgiRouteConfig } from './options.js'
import { encodeScgiRequest } from './request.js'

export type ScgiGatewayOptions = SocketGatewayOptions<ScgiRouteConfig>

/** The gateway; CONTENT_LENGTH is `0` where there is no body (H-2). @throws TypeError for a NUL in a configured value */
export function createScgiGateway(options: ScgiGatewayOptions): Gateway {
  return new SocketGateway(options, (variables, contentLength) =>
    encodeScgiRequest(variables, contentLength ?? 0),
  )
}
