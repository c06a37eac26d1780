/**
 * proxy routes for tests: every default, and what the test says.
 *
 * For `routes` of `startTestServer`; what answers is the test's own: bytes by hand, or a node:http server.
 */
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { defaultProxyRoute, type ProxyRouteConfig } from '../../src/server/config.js'
// The server loads it when a route needs it; tsx would start its compiler then, and be found as a leak.
import '../../src/server/proxy-mount.js'
import type { Address } from '../../src/upstream/address.js'

/** A route to servers at addresses. */
export function proxyRoute(
  path: string,
  addresses: readonly Address[],
  changes: Partial<ProxyRouteConfig> = {},
): ProxyRouteConfig {
  return { ...defaultProxyRoute, path, addresses, ...changes }
}

/** A server of node:http at a free port, closed in teardown with its connections. */
export async function httpUpstream(
  t: Test,
  listener: RequestListener,
): Promise<{ readonly address: Address; readonly server: Server }> {
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(async () => {
    const closed = new Promise(resolve => server.close(resolve))
    server.closeAllConnections()
    await closed
  })
  const { port } = server.address() as AddressInfo
  return { address: { kind: 'tcp', host: '127.0.0.1', port }, server }
}
