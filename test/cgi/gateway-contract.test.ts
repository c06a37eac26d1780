/** The contract of every gateway, kept by CGI with each way of starting processes. */
import { existsSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Behaviours, gatewayContract, pathsBelow, type Subject } from '../contract/gateway.js'
import { missing } from '../support/peers.js'
import { untilGone } from '../support/processes.js'
import { plainHead, printing, program, shell } from '../support/programs.js'
import { startTestServer } from '../support/serve.js'
import { type SpawnerName, spawnerNamed } from '../support/spawners.js'

const scripts = {
  'environment.cgi': program('environment.sh'),
  'echo.cgi': program('echo.sh'),
  'missing.cgi': printing('Status: 404 Not Here\nX-A: 1\nX-A: 2\n\ngone'),
  'cookies.cgi': printing('Set-Cookie: a=1\nSet-Cookie: b=2\nSet-Cookie: c=3\n\n'),
  'noContent.cgi': printing('Status: 204\n\nbody'),
  'splitHead.cgi': shell(
    `printf 'Content-Ty'; sleep 0.02; printf 'pe: text/plain\\r'; sleep 0.02`,
    `printf '\\n\\r'; sleep 0.02; printf '\\nwhole'`,
  ),
  'drip.cgi': shell(
    plainHead,
    'printf one',
    'until [ -e "$NOTES/go" ]; do sleep 0.02; done',
    'printf two',
  ),
  'hang.cgi': program('hang.sh'),
  'mute.cgi': shell('exit 0'),
  'cut.cgi': printing('Content-Length: 20\n\n0123456789'),
  'large.cgi': shell(plainHead, 'exec head -c 8388608 /dev/zero'),
} as const satisfies Record<`${keyof Behaviours}.cgi`, unknown>

const start =
  (spawner: SpawnerName) =>
  async (t: Test): Promise<Subject> => {
    const server = await startTestServer(t, { scripts, spawner })
    return {
      server,
      failure: 500,
      paths: pathsBelow('/cgi-bin/', '.cgi'),
      untilOver: async () => await untilGone(Number(await server.root.note('pid'))),
    }
  }

const warm =
  (script: string) =>
  async (t: Test): Promise<Subject> => {
    const server = await startTestServer(t, {
      scripts: { [script]: program(`warm/${script}`) },
      route: { warm: true },
    })
    return {
      server,
      failure: 500,
      paths: pathsBelow(`/cgi-bin/${script}/`),
      untilOver: async () => await untilGone(Number(await server.root.note('pid'))),
    }
  }

const { name } = await spawnerNamed('default')
gatewayContract(`CGI by ${name}`, start('default'))
if (name !== 'node') gatewayContract('CGI by node', start('node'))
for (const [peer, script] of [
  ['python3', 'contract.py'],
  ['perl', 'contract.pl'],
] as const) {
  if (existsSync(`/usr/bin/${peer}`)) gatewayContract(`CGI by warm ${peer}`, warm(script))
  else t.test(`CGI by warm ${peer}`, async t => missing(t, peer))
}
