/**
 * The contract of every gateway, kept by SCGI and uwsgi with an application of the test; with uWSGI it is
 * `test/peers/uwsgi.test.ts`.
 */
import type { Test } from 'tap'
import { gatewayContract, pathsBelow, type Subject } from '../contract/gateway.js'
import { startTestServer } from '../support/serve.js'
import { behaviours } from '../support/socket-behaviours.js'
import {
  type SocketKind,
  socketKinds,
  socketRoute,
  startSocketWorker,
} from '../support/socket-worker.js'

const start =
  (kind: SocketKind, tcp: boolean) =>
  async (t: Test): Promise<Subject> => {
    const worker = await startSocketWorker(t, kind, behaviours, { tcp })
    const server = await startTestServer(t, {
      routes: root => [
        socketRoute(kind, '/app/', [worker.address], {
          env: { set: { NOTES: root.notes }, pass: [] },
        }),
      ],
    })
    return {
      server,
      failure: 502,
      paths: pathsBelow('/app/'),
      untilOver: () => server.root.note('over'),
      ...(kind === 'scgi' ? { withoutBody: '0' } : {}),
    }
  }

for (const kind of socketKinds) {
  gatewayContract(kind, start(kind, false))
  gatewayContract(`${kind} over TCP`, start(kind, true))
}
