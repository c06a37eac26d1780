/**
 * Answers requests below one route by asking a uwsgi application.
 *
 * A packet of variables, the body behind it, an answer as a CGI program or an HTTP server gives it until the
 * connection ends: all but the packet is `backend/over-socket.ts`.
 */
import { SocketGateway, type SocketGatewayOptions } from '../backend/over-socket.js'
import type { ByteString, Gateway } from '../gateway.js'
import type { UwsgiRouteConfig } from './options.js'
import { encodeUwsgiPacket } from './packet.js'

export type UwsgiGatewayOptions = SocketGatewayOptions<UwsgiRouteConfig>

/** uWSGI takes SCRIPT_NAME off PATH_INFO by itself, whatever stands there (H-8). */
const stripsScriptName = 30

/** The gateway. @throws TypeError for a NUL in a configured value */
export function createUwsgiGateway(options: UwsgiGatewayOptions): Gateway {
  const { modifier1 } = options.route
  return new SocketGateway(options, variables => {
    setPathInfo(variables, modifier1)
    return encodeUwsgiPacket(variables, modifier1)
  })
}

/** WSGI wants PATH_INFO always, empty or not (H-12, I-1). */
function setPathInfo(variables: Map<ByteString, ByteString>, modifier1: number): void {
  const rest = variables.get('PATH_INFO') ?? ''
  const before = modifier1 === stripsScriptName ? (variables.get('SCRIPT_NAME') ?? '') : ''
  variables.set('PATH_INFO', before + rest)
}
