/**
 * A server that has been started, in this process or in several: what the banner tells of it and what
 * signals do to it. A type only, so that both ways of starting can name it without knowing each other.
 */
import type { ServerFacts } from './banner.js'
import type { Stoppable } from './stop-signals.js'

export interface Started
  extends Required<Stoppable>,
    Pick<ServerFacts, 'addresses' | 'spawner' | 'pids'> {}
