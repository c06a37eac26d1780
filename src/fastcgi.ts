/**
 * The public door `postern/fastcgi`: re-exports, nothing else.
 */
export type { RequestHandler } from './app/answer.js'
export { variablesOf } from './app/incoming.js'
export {
  createServer,
  type FastCgiServer,
  type FastCgiServerOptions,
  type ScgiServerOptions,
} from './app/server.js'
export type { ListenTarget } from './cgi/app-listener.js'
export {
  type ClientAnswer,
  type ClientEnd,
  type ClientRequest,
  FastCGIClient,
} from './fastcgi/client.js'
export type { Role } from './fastcgi/record.js'
export {
  createResponder,
  type Responder,
  type ResponderHandler,
} from './fastcgi/responder.js'
export type { ResponderOptions } from './fastcgi/responder-options.js'
export type { FastCgiRequest } from './fastcgi/responder-streams.js'
export type { Address } from './upstream/address.js'
