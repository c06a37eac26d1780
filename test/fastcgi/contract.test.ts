/**
 * The contract of every gateway, kept by FastCGI with workers of three libraries: our own responder, libfcgi
 * (C) and FCGI.pm (perl). The workers are ours, so that the supervisor takes part.
 */
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { defaultFastCgiRoute } from '../../src/server/config.js'
import { gatewayContract, pathsBelow, type Subject } from '../contract/gateway.js'
import { fastCgiRoute, workersOf } from '../support/fastcgi-route.js'
import { libfcgiProgram, perlWith } from '../support/peers.js'
import { startTestServer } from '../support/serve.js'
import { tempRoot } from '../support/temp-root.js'

const sourceOf = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/programs/fastcgi/${name}`, import.meta.url))

const timeouts = { ...defaultFastCgiRoute.timeouts, graceMs: 200 }

const start =
  (command: readonly string[]) =>
  async (t: Test): Promise<Subject> => {
    const server = await startTestServer(t, {
      routes: root => [
        fastCgiRoute('/app/', {
          backend: workersOf(1, { command }),
          env: { set: { NOTES: root.notes }, pass: [] },
          timeouts,
        }),
      ],
    })
    return {
      server,
      failure: 502,
      paths: pathsBelow('/app/'),
      untilOver: () => server.root.note('over'),
    }
  }

gatewayContract(
  'FastCGI, our responder',
  start([process.execPath, `--import=${import.meta.resolve('tsx')}`, sourceOf('behaviours.ts')]),
)

const compiled = libfcgiProgram(t, sourceOf('behaviours.c'), tempRoot(t).path)
if (compiled !== undefined) gatewayContract('FastCGI, libfcgi', start([compiled]))

const perl = perlWith(t, 'FCGI')
if (perl !== undefined)
  gatewayContract('FastCGI, FCGI.pm', start([perl, sourceOf('behaviours.pl')]))
