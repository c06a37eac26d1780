/**
 * The contract of every gateway with uWSGI behind ours, over each of the three protocols that it speaks.
 */
import t, { type Test } from 'tap'
import type { RouteConfig } from '../../src/server/config.js'
import type { Address } from '../../src/upstream/address.js'
import { gatewayContract, pathsBelow, type Subject } from '../contract/gateway.js'
import { fastCgiRoute } from '../support/fastcgi-route.js'
import { startTestServer } from '../support/serve.js'
import { socketRoute } from '../support/socket-worker.js'
import { startUwsgi, type UwsgiSocket, uwsgiProgram } from '../support/uwsgi.js'

const program = uwsgiProgram(t)

type EnvConfig = RouteConfig['env']
type MakeRoute = (address: Address, env: EnvConfig) => RouteConfig

const start =
  (uwsgi: string, socket: UwsgiSocket, route: MakeRoute) =>
  async (t: Test): Promise<Subject> => {
    const address = await startUwsgi(t, uwsgi, socket)
    const server = await startTestServer(t, {
      routes: root => [route(address, { set: { NOTES: root.notes }, pass: [] })],
    })
    return {
      server,
      failure: 502,
      paths: pathsBelow('/app/'),
      untilOver: () => server.root.note('over'),
      ...(socket === 'scgi-socket' ? { withoutBody: '0' } : {}),
    }
  }

if (program !== undefined) {
  const over = { capacity: 2 }
  gatewayContract(
    'uWSGI over uwsgi',
    start(program, 'socket', (address, env) =>
      socketRoute('uwsgi', '/app/', [address], { ...over, env }),
    ),
  )
  gatewayContract(
    'uWSGI over SCGI',
    start(program, 'scgi-socket', (address, env) =>
      socketRoute('scgi', '/app/', [address], { ...over, env }),
    ),
  )
  gatewayContract(
    'uWSGI over FastCGI',
    start(program, 'fastcgi-socket', (address, env) =>
      fastCgiRoute('/app/', { ...over, address, env }),
    ),
  )
}
