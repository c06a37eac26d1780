/**
 * The Logger that every room is handed; there is no global one.
 *
 * Shaped so that a pino logger fits as it is. Fields first, then the sentence. The CLI makes the real
 * one; a library user may pass their own or none.
 */

/** Fields of a log line. */
export type LogFields = Readonly<Record<string, unknown>>

/** The four levels that Postern uses. */
export interface Logger {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

const nothing = (): void => {}

/** Drops everything: the default of a library. */
export const silentLogger: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing }
