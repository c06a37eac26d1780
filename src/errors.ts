/**
 * What a failure is: one class with a code. The table from code to status, sentence and remedy is
 * `error-table.ts`; the status is never chosen anywhere else.
 */
import { errorTable } from './error-table.js'

export { errorTable } from './error-table.js'

/** A code of the table. */
export type ErrorCode = keyof typeof errorTable

/** A failure with a code; `detail` names the place, in plain words, for the log and the developer's page. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError'
  readonly code: ErrorCode
  /** What exactly, for example the offending line; empty when the sentence says all. */
  readonly detail: string

  constructor(code: ErrorCode, detail = '', options?: ErrorOptions) {
    super(
      detail === '' ? errorTable[code].sentence : `${errorTable[code].sentence} ${detail}`,
      options,
    )
    this.code = code
    this.detail = detail
  }

  /** HTTP status of the code. */
  get status(): number {
    return errorTable[this.code].status
  }

  /** What to do about it. */
  get remedy(): string {
    return errorTable[this.code].remedy
  }
}

/** The error as a GatewayError: itself, or an INTERNAL one around it. */
export function asGatewayError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return new GatewayError('INTERNAL', detail, { cause: error })
}
