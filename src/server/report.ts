/**
 * What the log says of a request that failed.
 *
 * Every failure has one line that says why in plain words; a missing page or a client that left is only in
 * the access log. Holds nothing.
 */
import type { GatewayError } from '../errors.js'
import type { ByteString, ProgramFacts } from '../gateway.js'
import type { Logger } from '../log.js'

/** One line for one failure. `target`: what was asked for. */
export function report(
  log: Logger,
  id: string,
  { script, pid }: ProgramFacts,
  target: ByteString,
  error: GatewayError,
): void {
  const fields = { id, code: error.code, script, pid, target }
  if (error.code === 'INTERNAL') log.error({ ...fields, err: error.cause }, error.message)
  else if (error.status === 499 || error.status === 404) log.debug(fields, error.message)
  else if (error.status >= 500) log.error(fields, `${error.message} ${error.remedy}`)
  else log.warn(fields, error.message)
}
