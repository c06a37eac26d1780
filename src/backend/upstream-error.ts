/**
 * Failures of a head, as those of a program behind a gateway protocol: 502 where CGI has 500 (E-30).
 *
 * Pure.
 */
import { type ErrorCode, GatewayError } from '../errors.js'

const codes: Partial<Record<ErrorCode, ErrorCode>> = {
  BAD_HEAD: 'UPSTREAM_BAD_HEAD',
  BAD_STATUS: 'UPSTREAM_BAD_HEAD',
  HEAD_INCOMPLETE: 'UPSTREAM_BAD_HEAD',
  NO_OUTPUT: 'UPSTREAM_NO_OUTPUT',
  RESPONSE_HEAD_TOO_LARGE: 'UPSTREAM_HEAD_TOO_LARGE',
  RESPONSE_TRANSFER_ENCODING: 'UPSTREAM_BAD_HEAD',
}

/** The same failure under its own code; its sentence stays where the code's own would say less. */
export function upstreamError(error: GatewayError, note = ''): GatewayError {
  const code = codes[error.code]
  if (code === undefined) return error
  const lost = code === 'UPSTREAM_BAD_HEAD' && error.code !== 'BAD_HEAD'
  const said = lost ? error.message : error.detail
  return new GatewayError(code, `${said} ${note}`.trim(), { cause: error })
}
