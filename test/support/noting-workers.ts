/**
 * A server with workers that note what they do (`bench/programs/noting-worker.mjs`), for tests of many
 * requests at once. Teardown is that of `startTestServer`: it fails when anything is left.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { WorkerNotes } from '../../bench/chaos-notes.js'
import type { Config, FastCgiRoute, WorkersConfig } from '../../src/server/config.js'
import { fastCgiRoute, workersOf } from './fastcgi-route.js'
import { startTestServer, type TestServer } from './serve.js'
import { tempRoot } from './temp-root.js'
import { waitFor } from './wait-for.js'

export const notingWorker = fileURLToPath(
  new URL('../../bench/programs/noting-worker.mjs', import.meta.url),
)

export interface NotedServer {
  readonly server: TestServer
  readonly notes: WorkerNotes
  /** Has the workers answer what they `hold`. */
  go(): void
  /** Where requests go: the server and the prefix of the route. */
  readonly origin: string
  /** The worker that the server's log says it sent a request to, once that worker has failed. */
  sentTo(id: string): number | undefined
}

/** Starts one with `count` workers; it is ready, and so are they. */
export async function serveNoted(
  t: Test,
  count: number,
  changes: Partial<WorkersConfig> = {},
  route: Partial<FastCgiRoute> = {},
  config: Partial<Config> = {},
): Promise<NotedServer> {
  const path = join(tempRoot(t).path, 'worker-notes')
  const notes = new WorkerNotes(path)
  const backend = workersOf(count, {
    command: [process.execPath, notingWorker],
    env: [`NOTES=${path}`],
    ...changes,
  })
  const server = await startTestServer(t, {
    routes: () => [fastCgiRoute('/w/', { backend, ...route })],
    config,
  })
  await waitFor('the workers are ready', () => {
    notes.read()
    return notes.workers.size >= count
  })
  const sentTo = (id: string): number | undefined => {
    const line = server.access.find(entry => entry.includes(`/${id}"`))
    const worker = line === undefined ? undefined : JSON.parse(line).script
    const failed = server.records.find(
      ({ message, fields }) => message === 'a worker failed' && fields.worker === worker,
    )
    return failed === undefined ? undefined : Number(failed.fields.pid)
  }
  const go = (): void => writeFileSync(`${path}.go`, '')
  return { server, notes, go, origin: `${server.origin}/w`, sentTo }
}
