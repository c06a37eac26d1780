/**
 * The demo as a user gets it: the repository's own `cgi-bin/` and `public/` behind a test server.
 */
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { startTestServer, type TestServer } from './serve.js'

const folder = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url))

/** Absolute path of the demo's scripts. */
export const demoScripts = folder('cgi-bin')

/** Absolute path of the demo's files. */
export const demoFiles = folder('public')

/** Serves the demo. */
export function startDemo(t: Test): Promise<TestServer> {
  return startTestServer(t, { config: { root: demoFiles }, route: { target: demoScripts } })
}
