/**
 * The contract of every gateway with uWSGI behind ours, over each of the three protocols that it speaks.
 */
import t, { type Test } from 'tap'
import type { RouteConfig } from '../../src/server/config.js'
import type { Address } from '../../src/upstream/address.js'
import { gatewayContract, pathsBelow, type Subject } from '../contract/gateway.js'
import { fastCgiRoute } from '../support/fastcgi-route.js'
import { environmentOf } from '../support/programs.js'
import { startTestServer } from '../support/serve.js'
import { socketRoute } from '../support/socket-worker.js'
import { startUwsgi, type UwsgiSocket, uwsgiProgram } from '../support/uwsgi.js'
import { waitFor } from '../support/wait-for.js'

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

if (program !== undefined) {
  t.test('H-8 modifier1 30: the application sees SCRIPT_NAME and PATH_INFO apart', async t => {
    const address = await startUwsgi(t, program, 'socket')
    const server = await startTestServer(t, {
      routes: () => [socketRoute('uwsgi', '/app/', [address], { modifier1: 30 })],
    })
    const variables = environmentOf(await server.request('/app/environment'))
    t.equal(variables.get('SCRIPT_NAME'), '/app')
    t.equal(variables.get('PATH_INFO'), '/environment')
  })

  t.test(
    'kill -9 of uWSGI’s workers under load costs their own requests and nothing else',
    async t => {
      const address = await startUwsgi(t, program, 'socket')
      const server = await startTestServer(t, {
        routes: () => [socketRoute('uwsgi', '/app/', [address], { capacity: 2 })],
      })
      let killed = 0
      const kill = async (): Promise<void> => {
        const pid = Number((await server.request('/app/pid')).text())
        if (!(pid > 1)) return
        try {
          process.kill(pid, 'SIGKILL')
          killed++
        } catch {
          // It was killed already, and its answer came later than the news.
        }
      }
      const statuses: number[] = []
      const client = async (): Promise<void> => {
        for (let i = 0; i < 40; i++) statuses.push((await server.request('/app/echo', post)).status)
      }
      const post = { method: 'POST', body: 'x'.repeat(1_000) }
      const load = Promise.all([client(), client(), client(), client()])
      for (let i = 0; i < 5; i++) await kill()
      await load
      t.ok(killed > 0, `${killed} were killed`)
      t.equal(statuses.length, 160)
      t.ok(statuses.every(status => status === 200 || status === 502))
      const lost = statuses.filter(status => status !== 200).length
      t.ok(lost <= killed, `${lost} requests were lost, ${killed} workers killed`)
      await waitFor('all is well again', async () => {
        return (await server.request('/app/echo', post)).status === 200
      })
    },
  )
}
