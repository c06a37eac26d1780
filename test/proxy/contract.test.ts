/**
 * The contract of every gateway, kept by an HTTP server behind a unix socket.
 */
import type { Test } from 'tap'
import { defaultBackendTimeouts } from '../../src/server/config.js'
import { gatewayContract, pathsBelow, type Subject } from '../contract/gateway.js'
import { startHttpProgram } from '../support/http-program.js'
import { proxyRoute } from '../support/proxy-route.js'
import { startTestServer } from '../support/serve.js'

gatewayContract('HTTP, node:http', async (t: Test): Promise<Subject> => {
  const timeouts = { ...defaultBackendTimeouts, graceMs: 200 }
  const server = await startTestServer(t, {
    routes: root => [
      proxyRoute('/app/', [{ kind: 'unix', path: `${root.path}/app.sock` }], { timeouts }),
    ],
  })
  await startHttpProgram(t, server.root, 'app')
  return {
    server,
    failure: 502,
    paths: pathsBelow('/app/'),
    untilOver: () => server.root.note('over'),
  }
})
