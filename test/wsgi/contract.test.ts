/**
 * The contract of every gateway, kept by a WSGI application: in workers with one thread and with several, and
 * as a CGI program.
 */
import t, { type Test } from 'tap'
import { defaultWsgiRoute } from '../../src/server/config.js'
import { gatewayContract, pathsBelow, type Subject } from '../contract/gateway.js'
import { pythonWith } from '../support/python.js'
import { startTestServer } from '../support/serve.js'
import { testWsgiRoute, type WsgiChanges } from '../support/wsgi-route.js'

const timeouts = { ...defaultWsgiRoute.timeouts, graceMs: 500 }

const start =
  (python: string, changes: WsgiChanges) =>
  async (t: Test): Promise<Subject> => {
    const server = await startTestServer(t, {
      routes: root => [
        testWsgiRoute('/app/', python, 'behaviours:application', {
          ...changes,
          env: { set: { NOTES: root.notes }, pass: [] },
          timeouts,
        }),
      ],
    })
    return {
      server,
      // The host knows what the application did, and says it with a 500 of its own.
      failure: 500,
      paths: pathsBelow('/app/'),
      untilOver: () => server.root.note('over'),
    }
  }

const python = pythonWith(t)
if (python !== undefined) {
  gatewayContract('WSGI, one thread', start(python, {}))
  gatewayContract('WSGI, four threads', start(python, { threads: 4 }))
  gatewayContract('WSGI, as CGI', start(python, { mode: 'cgi' }))
  gatewayContract('WSGI, warm', start(python, { mode: 'warm' }))
}
