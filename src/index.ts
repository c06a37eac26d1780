/**
 * The public door of the package: re-exports, nothing else.
 */
export { type ErrorCode, errorTable, GatewayError } from './errors.js'
export type {
  BodySink,
  Gateway,
  GatewayRequest,
  GatewayResponse,
  ProgramExit,
  ProgramUsage,
  ResponseBody,
} from './gateway.js'
export { type LogFields, type Logger, silentLogger } from './log.js'
export { type Choice, chooseSpawner } from './process/choose.js'
export type { Child, PipeReader, PipeWriter, Spawner, SpawnSpec } from './process/spawner.js'
export { SpawnError } from './process/spawner.js'
export { type Config, defaultCgiRoute, defaultConfig } from './server/config.js'
export { type CgiHandler, type CgiHandlerOptions, cgi } from './server/handler.js'
export { type RunningServer, type ServerDependencies, startServer } from './server/listener.js'
