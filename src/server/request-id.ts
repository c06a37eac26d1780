/**
 * Request ids: short, unique across processes and restarts, ordered within one process.
 */
import { randomBytes } from 'node:crypto'

/** A source of ids such as `k3v9x2ab-1f`. */
export function createRequestIds(): () => string {
  const prefix = randomBytes(5).readUIntBE(0, 5).toString(36).padStart(8, '0')
  let count = 0
  return () => `${prefix}-${(++count).toString(36)}`
}
