/**
 * fastcgi routes for tests: every default, and what the test says.
 *
 * For `routes` of `startTestServer`; what answers is the test's own, or the fixture application as a worker.
 */
import { fileURLToPath } from 'node:url'
import {
  defaultFastCgiRoute,
  defaultWorkers,
  type FastCgiRoute,
  type WorkersConfig,
} from '../../src/server/config.js'
import type { Address } from '../../src/upstream/address.js'

/** The program of `test/fixtures/programs/fastcgi-app.mjs`. */
export const fastCgiApp = fileURLToPath(
  new URL('../fixtures/programs/fastcgi-app.mjs', import.meta.url),
)

/** A route to an application that runs already, or with a backend among the changes. */
export function fastCgiRoute(
  path: string,
  changes: Partial<FastCgiRoute> & { readonly address?: Address },
): FastCgiRoute {
  const { address, ...settings } = changes
  const backend = { kind: 'addresses', addresses: address === undefined ? [] : [address] } as const
  return { ...defaultFastCgiRoute, backend, path, ...settings }
}

/** Workers of the fixture application, or of another command. */
export function workersOf(
  count: number | Partial<WorkersConfig['count']>,
  changes: Partial<WorkersConfig> = {},
): FastCgiRoute['backend'] {
  const numbers = typeof count === 'number' ? { min: count, max: count } : count
  const workers: WorkersConfig = {
    ...defaultWorkers,
    command: [process.execPath, fastCgiApp],
    directory: '/',
    env: [],
    ...changes,
    count: { ...defaultWorkers.count, ...numbers },
  }
  return { kind: 'workers', workers }
}
