/**
 * Answers requests below one route by asking a uwsgi application.
 *
 * A packet of variables, the body behind it, an answer as a CGI program or an HTTP server gives it until the
 * connection ends: all but the packet is `backend/over-socket.ts`.
 */
import { SocketGateway, type SocketGatewayOptions } from '../backend/over-socket.js'
import type { Gateway } from '../gateway.js'
import type { UwsgiRouteConfig } from './options.js'
import { encodeUwsgiPacket } from './packet.js'

export type UwsgiGatewayOptions = SocketGatewayOptions<UwsgiRouteConfig>

/**
 * The gateway. PATH_INFO is always there, empty or not (H-12, I-1), and never holds SCRIPT_NAME, whatever the
 * modifier: with 30 uWSGI for Python 3 does not take it off, though its documentation says so (H-8).
 * @throws TypeError for a NUL in a configured value
 */
export function createUwsgiGateway(options: UwsgiGatewayOptions): Gateway {
  const { modifier1 } = options.route
  return new SocketGateway(options, variables => {
    if (!variables.has('PATH_INFO')) variables.set('PATH_INFO', '')
    return encodeUwsgiPacket(variables, modifier1)
  })
}
