/**
 * A server in a process of its own, for tests that look at its memory: started with
 * `node --import=tsx server-child.ts`, it takes its routes as JSON in the first argument, writes its
 * address as one line on stdout, and closes when its stdin ends.
 */

import { silentLogger } from '../../src/log.js'
import { chooseSpawner } from '../../src/process/choose.js'
import { type CgiRouteConfig, defaultCgiRoute, defaultConfig } from '../../src/server/config.js'
import { startServer } from '../../src/server/listener.js'

type Route = Partial<CgiRouteConfig> & Pick<CgiRouteConfig, 'path' | 'target' | 'program'>

const routes = JSON.parse(process.argv[2] ?? '[]') as Route[]
const { spawner } = await chooseSpawner(process.env)
const server = await startServer(
  {
    ...defaultConfig,
    listen: [{ kind: 'tcp', host: '127.0.0.1', port: 0 }],
    log: { access: 'off', level: 'silent' },
    routes: routes.map(route => ({ ...defaultCgiRoute, ...route })),
  },
  { spawner, log: silentLogger, access: () => {} },
)
process.stdout.write(`${server.addresses[0] ?? ''}\n`)
process.stdin.resume()
process.stdin.once('end', () => void server.close())
