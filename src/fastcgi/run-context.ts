/**
 * What the requests of one gateway share. Types only.
 *
 * Made once by `gateway.ts`; nothing in it belongs to one request.
 */

import type { Runs } from '../backend/runs.js'
import type { Limits, TimeKeeper } from '../backend/time-limits.js'
import type { HeadSource } from '../cgi/head-reader.js'
import type { HeadResponses } from '../cgi/head-response.js'
import type { Logger } from '../log.js'
import type { Upstreams } from '../upstream/upstreams.js'
import type { Attempts } from './attempts.js'
import type { Connections } from './connections.js'
import type { FastCgiRouteConfig } from './options.js'

export interface RunContext {
  readonly route: FastCgiRouteConfig
  readonly limits: Limits
  readonly upstreams: Upstreams
  /** Programs come and go by themselves: when all were tried there will be another. */
  readonly supplied: boolean
  readonly connections: Connections
  readonly sender: Attempts
  readonly time: TimeKeeper
  readonly responses: HeadResponses
  readonly newHeadSource: () => HeadSource
  readonly log: Logger
  /** Those that have begun and are not over. */
  readonly runs: Runs
}
