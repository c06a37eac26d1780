/**
 * Postern four times: as it is, with 500 idle client connections, with 200 more routes, with 32 workers. The cost
 * of a request must not grow with any of them; the plain one is what the others are compared with, and so the
 * `peer`.
 */
import { until } from './child.js'
import { startFastcgiPostern } from './fastcgi-contenders.js'
import { openIdle } from './idle-connections.js'
import { growthRows } from './rows.js'
import { ask } from './same-answer.js'
import type { Contender, RunningServer } from './server.js'
import type { Site } from './site.js'

const IDLE_CONNECTIONS = 500
const IDLE_ROUTES = 200
const MANY_WORKERS = 32

export const growthContenders: readonly Contender[] = [
  { name: 'postern', side: 'peer', start: site => startFastcgiPostern(site, 'postern') },
  { name: `postern-${IDLE_CONNECTIONS}-idle`, side: 'own', start: startWithIdleConnections },
  {
    name: `postern-${IDLE_ROUTES}-routes`,
    side: 'own',
    start: site => startFastcgiPostern(site, 'postern-routes', { idleRoutes: IDLE_ROUTES }),
  },
  {
    name: `postern-${MANY_WORKERS}-workers`,
    side: 'own',
    start: site => startFastcgiPostern(site, 'postern-workers', { workers: MANY_WORKERS }),
  },
]

async function startWithIdleConnections(site: Site): Promise<RunningServer> {
  const [row] = growthRows
  if (!row) throw new Error('no rows')
  const server = await startFastcgiPostern(site, 'postern-idle')
  try {
    await until(
      async () => {
        const ended = server.ended()
        if (ended !== undefined) throw new Error(ended)
        const answer = await ask(server.port, row).catch(() => undefined)
        return answer?.status === 200
      },
      () => 'postern does not answer',
    )
    const idle = await openIdle(server.port, row.path, IDLE_CONNECTIONS)
    return {
      ...server,
      ended: () => server.ended() ?? idleEnded(idle.closed()),
      stop: () => {
        idle.close()
        return server.stop()
      },
    }
  } catch (error) {
    await server.stop()
    throw error
  }
}

/** A number without its connections would be measured under a wrong name. */
function idleEnded(closed: number): string | undefined {
  return closed === 0 ? undefined : `the server has closed ${closed} idle connections`
}
