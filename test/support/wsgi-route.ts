/**
 * wsgi routes for tests: every default, one of the applications in `test/fixtures/programs/wsgi`, and what
 * the test says.
 */
import { createEnvironment } from '../../src/cgi/environment.js'
import type { WorkersConfig, WsgiRouteConfig } from '../../src/server/config.js'
import { type WsgiProgram, wsgiRoute } from '../../src/server/wsgi-route.js'
import { wsgiPrograms } from './python.js'

export interface WsgiChanges
  extends Partial<Omit<WsgiRouteConfig, 'workers' | 'threads' | 'kind'>>,
    Pick<WsgiProgram, 'threads'> {
  /** Their number, 1 unless said otherwise. */
  readonly count?: number
  readonly workers?: Partial<WorkersConfig>
}

/** A route of `application` below `path`, with one worker. */
export function testWsgiRoute(
  path: string,
  python: string,
  application: string,
  changes: WsgiChanges = {},
): WsgiRouteConfig {
  const { count = 1, threads, workers, directory = wsgiPrograms, ...settings } = changes
  const program = { path, application, directory, python, workers: count, threads }
  const route = wsgiRoute(program, process.env)
  const { graceMs } = settings.timeouts ?? route.timeouts
  // The folder of the programs stays as it is.
  const set = { PYTHONDONTWRITEBYTECODE: '1', ...settings.env?.set }
  const env = { ...route.env, ...settings.env, set }
  const own = createEnvironment(env, process.env)(new Map())
  return {
    ...{ ...route, ...settings, env },
    workers: { ...route.workers, graceMs, env: own, ...workers },
  }
}
