/**
 * What the log says of one request to an application: its STDERR, and a status at its end.
 *
 * Bounded by the route's `stderrBytes`.
 */
import { toText } from '../byte-string.js'
import { createStderrLog, type StderrLog } from '../cgi/stderr-log.js'
import type { GatewayRequest } from '../gateway.js'
import type { Logger } from '../log.js'

/** STDERR of a request (G-5), from its first piece on; its tail is among the facts. */
export function startStderr(request: GatewayRequest, capBytes: number, log: Logger): StderrLog {
  const { id, facts } = request
  const script = facts.script ?? ''
  const stderr = createStderrLog({ id, script: toText(script) ?? script }, capBytes, log)
  facts.stderr = () => stderr.tail
  return stderr
}

/** G-13, E-32: the answer stands, whatever the application says at its end. */
export function reportStatus(request: GatewayRequest, status: number, log: Logger): void {
  if (status === 0) return
  const fields = { id: request.id, script: request.facts.script, status }
  log.warn(fields, 'the program answered and then ended with a failure')
}
