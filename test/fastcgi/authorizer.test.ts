// G-22, FastCGI §6.3: what an authorizer is asked, what its answer does, and that no answer opens no door.
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { defaultProgramRoute } from '../../src/cgi/options.js'
import { GatewayError } from '../../src/errors.js'
import {
  AuthorizedGateway,
  authorizerRoute,
  GatewayAuthorizer,
} from '../../src/fastcgi/authorizer.js'
import { FastCgiGateway } from '../../src/fastcgi/gateway.js'
import type { Gateway, GatewayRequest, GatewayResponse, ResponseBody } from '../../src/gateway.js'
import { silentLogger } from '../../src/log.js'
import { Upstreams } from '../../src/upstream/upstreams.js'
import { listenForBytes } from '../support/byte-listener.js'
import { BEGIN, end, PARAMS, STDIN, STDOUT, stream } from '../support/fastcgi-bytes.js'
import { within } from '../support/wait-for.js'

function makeRequest(changes: Partial<GatewayRequest> = {}): GatewayRequest {
  return {
    id: 'a1',
    method: 'POST',
    target: '/app/x',
    protocol: 'HTTP/1.1',
    path: '/app/x',
    rest: '/x',
    query: '',
    rawHeaders: ['Host', 'a.test', 'Authorization', 'Basic eA==', 'Variable-ROLE', 'admin'],
    host: 'a.test',
    remote: { address: '127.0.0.1', port: 1 },
    local: { address: '127.0.0.1', port: 2 },
    tls: false,
    body: { length: 4, stream: Readable.from([Buffer.from('body')]), invite: () => {} },
    signal: new AbortController().signal,
    redirects: 0,
    authorized: undefined,
    inform: () => {},
    facts: {},
    ...changes,
  }
}

/** A body of `size` bytes that notes whether it was read to its end or cancelled. */
function makeBody(size = 0): ResponseBody & { fate: 'untouched' | 'ended' | 'cancelled' } {
  const body: ReturnType<typeof makeBody> = {
    fate: 'untouched',
    flow: sink => {
      for (let left = size; left > 0 && body.fate === 'untouched'; left -= 1024) {
        sink.data(Buffer.alloc(Math.min(left, 1024)))
      }
      if (body.fate === 'cancelled') return
      body.fate = 'ended'
      sink.end()
    },
    pause: () => {},
    resume: () => {},
    cancel: () => {
      body.fate = 'cancelled'
    },
  }
  return body
}

function makeResponse(status: number, headers: readonly string[], body = makeBody()) {
  const nothing = { reason: undefined, length: undefined, close: false }
  const response: GatewayResponse = {
    ...nothing,
    status,
    headers,
    body,
    localRedirect: undefined,
    sendFile: undefined,
  }
  return response
}

/** A gateway that answers so, and what happened to it. */
function makeGateway(answer: (request: GatewayRequest) => GatewayResponse) {
  const seen: GatewayRequest[] = []
  const ends: string[] = []
  const gateway: Gateway = {
    send: async request => {
      seen.push(request)
      return answer(request)
    },
    close: async () => void ends.push('close'),
    kill: () => void ends.push('kill'),
  }
  return { gateway, seen, ends }
}

const page = makeResponse(200, ['Content-Type', 'text/plain'])

function guarded(answer: (request: GatewayRequest) => GatewayResponse) {
  const inner = makeGateway(() => page)
  const asked = makeGateway(answer)
  const authorizer = new GatewayAuthorizer(asked.gateway)
  const gateway = new AuthorizedGateway({ inner: inner.gateway, authorizer })
  return { gateway, inner, asked }
}

t.test('it is asked about the request without its body, and the body stays whole', async t => {
  const { gateway, inner, asked } = guarded(() => makeResponse(200, []))
  let invited = 0
  const stream = Readable.from([Buffer.from('body')])
  const body = { length: 4, stream, invite: () => void invited++ }
  const request = makeRequest({ body })
  t.equal(await gateway.send(request), page)
  t.match(asked.seen, [{ id: 'a1', method: 'POST', rest: '/x', rawHeaders: request.rawHeaders }])
  t.strictSame([asked.seen[0]?.body.length, asked.seen[0]?.body.stream], [undefined, undefined])
  asked.seen[0]?.body.invite()
  t.equal(invited, 0, 'nobody says 100 Continue for it')
  t.equal(inner.seen[0]?.body, body)
  t.equal(stream.readableFlowing, null)
})

t.test('200: Variable-NAME become variables of the request; the rest is ignored', async t => {
  const body = makeBody(2048)
  const fields = [
    ...['Variable-REMOTE_USER', 'ann', 'variable-auth_type', 'Basic', 'VARIABLE-X-Team', 'a\xe9'],
    ...['Variable-', 'nameless', 'Set-Cookie', 'a=1', 'Variable-EMPTY', ''],
    ...['Variable-HTTP_PROXY', 'http://evil.test', 'Variable-http-proxy', 'http://evil.test'],
    ...['Variable-CONTENT_LENGTH', '9', 'Variable-A.B', 'dot'],
  ]
  const { gateway, inner } = guarded(() => makeResponse(200, fields, body))
  const response = await gateway.send(makeRequest())
  t.equal(response, page, 'its own answer is all that the client gets')
  t.strictSame(
    [...(inner.seen[0]?.authorized ?? [])],
    [
      ['REMOTE_USER', 'ann'],
      ['AUTH_TYPE', 'Basic'],
      ['X_TEAM', 'a\xe9'],
      ['EMPTY', ''],
      ['A_B', 'dot'],
    ],
  )
  t.equal(body.fate, 'ended', 'it is read to its end: the connection can be used again')
})

t.test('what the client calls Variable-ROLE is nothing', async t => {
  const { gateway, inner } = guarded(() => makeResponse(200, []))
  await gateway.send(makeRequest())
  t.equal(inner.seen[0]?.authorized?.size, 0)
})

t.test(
  '200 with a body without end: 64 KiB are read, one byte more and it is given up',
  async t => {
    for (const [size, fate] of [
      [64 * 1024, 'ended'],
      [64 * 1024 + 1, 'cancelled'],
    ] as const) {
      const body = makeBody(size)
      const { gateway } = guarded(() => makeResponse(200, [], body))
      t.equal(await gateway.send(makeRequest()), page)
      t.equal(body.fate, fate, `${size} bytes`)
    }
  },
)

t.test('every other status is the answer, without its Variable-NAME', async t => {
  for (const status of [201, 204, 302, 401, 403, 404, 500]) {
    const body = makeBody(10)
    const fields = ['WWW-Authenticate', 'Basic', 'Variable-A', '1', 'variable-b', '2', 'X', 'y']
    const { gateway, inner } = guarded(() => makeResponse(status, fields, body))
    const response = await gateway.send(makeRequest())
    t.equal(response.status, status)
    t.strictSame(response.headers, ['WWW-Authenticate', 'Basic', 'X', 'y'])
    t.equal(response.body, body)
    t.equal(body.fate, 'untouched')
    t.strictSame(inner.seen, [], 'the request goes no further')
  }
})

t.test('no answer: the request fails with that, and goes no further', async t => {
  const { gateway, inner } = guarded(request => {
    request.facts.stderr = () => 'why'
    throw new GatewayError('UPSTREAM_UNREACHABLE')
  })
  const request = makeRequest()
  await t.rejects(gateway.send(request), { code: 'UPSTREAM_UNREACHABLE', status: 502 })
  t.strictSame(inner.seen, [])
  t.equal(request.facts.stderr?.(), 'why', 'the page of the developer shows what it said')
})

t.test('what is known of the program that answered is not of the authorizer', async t => {
  let status = 200
  const { gateway } = guarded(request => {
    request.facts.queueMs = 5
    request.inform(103, [])
    return makeResponse(status, [])
  })
  const informed: number[] = []
  const request = makeRequest({ inform: status => informed.push(status) })
  await gateway.send(request)
  t.strictSame(request.facts, {})
  t.strictSame(informed, [], 'nor does it speak to the client on the way')
  status = 403
  await gateway.send(request)
  t.equal(request.facts.queueMs, 5, 'unless its answer is the answer')
})

t.test('both end', async t => {
  const { gateway, inner, asked } = guarded(() => page)
  await gateway.close()
  gateway.kill()
  t.strictSame(inner.ends, ['close', 'kill'])
  t.strictSame(asked.ends, ['close', 'kill'])
})

t.test(
  'B-19: the route of the authorizer sees Authorization; limits are those of the route',
  async t => {
    const timeouts = { firstByteMs: 7, idleMs: 8, totalMs: 9, graceMs: 10 }
    const route = { ...defaultProgramRoute, path: '/app/', timeouts, sendfile: ['/srv'] }
    const asked = authorizerRoute(route, { kind: 'unix', path: '/a' })
    t.match(asked, {
      path: '/app/',
      backend: { kind: 'addresses', addresses: [{ kind: 'unix', path: '/a' }] },
      passAuthorization: true,
      timeouts: { ...timeouts, connectMs: 5000 },
      sendfile: [],
      authorize: undefined,
    })
  },
)

/** An authorizer made of bytes: answers each request on a connection with the next of `answers`. */
async function scripted(t: Test, answers: readonly Buffer[]) {
  const seen: Map<string, string>[] = []
  const roles: number[] = []
  const flags: number[] = []
  let connections = 0
  const path = await listenForBytes(t, peer => {
    connections++
    let done = 0
    peer.socket.on('data', () => {
      const records = recordsIn(peer.received())
      const ended = records.filter(({ type, content }) => type === STDIN && content.length === 0)
      while (done < ended.length) {
        const begins = records.filter(({ type }) => type === BEGIN)
        roles.push(begins[done]?.content[1] ?? 0)
        flags.push(begins[done]?.content[2] ?? 0)
        const params = records.filter(({ type }) => type === PARAMS).map(({ content }) => content)
        const starts = [0, ...params.flatMap((each, i) => (each.length === 0 ? [i + 1] : []))]
        const mine = params.slice(starts[done], (starts[done + 1] ?? 0) - 1)
        seen.push(new Map(pairsIn(Buffer.concat(mine))))
        done++
        peer.socket.write(answers[seen.length - 1] ?? Buffer.alloc(0))
      }
    })
  })
  return { path, seen, roles, flags, connections: () => connections }
}

function recordsIn(bytes: Buffer): { type: number; content: Buffer }[] {
  const records: { type: number; content: Buffer }[] = []
  for (let at = 0; at + 8 <= bytes.length; ) {
    const end = at + 8 + bytes.readUInt16BE(at + 4)
    if (end > bytes.length) break
    records.push({ type: bytes[at + 1] ?? 0, content: bytes.subarray(at + 8, end) })
    at = end + (bytes[at + 6] ?? 0)
  }
  return records
}

function pairsIn(bytes: Buffer): [string, string][] {
  const found: [string, string][] = []
  let at = 0
  const length = (): number => {
    const short = bytes[at] ?? 0
    if (short < 128) return bytes[at++] ?? 0
    at += 4
    return bytes.readUInt32BE(at - 4) & 0x7fff_ffff
  }
  const take = (size: number): string => {
    at += size
    return bytes.toString('latin1', at - size, at)
  }
  while (at < bytes.length) {
    const sizes = [length(), length()] as const
    found.push([take(sizes[0]), take(sizes[1])])
  }
  return found
}

const said = (text: string): Buffer => Buffer.concat([stream(STDOUT, 1, text), end(1)])

function gatewayTo(t: Test, path: string, inner: Gateway): AuthorizedGateway {
  const standard = { ...defaultProgramRoute, path: '/app/' }
  const route = authorizerRoute(standard, { kind: 'unix', path })
  const upstreams = new Upstreams({ queue: route.queue })
  upstreams.add({ address: { kind: 'unix', path }, capacity: 1 })
  const asked = new FastCgiGateway({
    route,
    role: 'authorizer',
    upstreams,
    files: undefined,
    documentRoot: '/srv',
    serverName: undefined,
    serverSoftware: 'postern/0',
    clientBodyMs: 0,
    log: silentLogger,
    hostEnvironment: {},
  })
  const gateway = new AuthorizedGateway({ inner, authorizer: new GatewayAuthorizer(asked) })
  t.teardown(() => gateway.close())
  return gateway
}

t.test('FastCGI §6.3 on the wire: variables that it gets and those that it must not', async t => {
  const allowed = 'Status: 200 OK\r\nVariable-REMOTE_USER: ann\r\nX: y\r\n\r\nignored'
  const denied =
    'Status: 401 Unauthorized\r\nWWW-Authenticate: Basic realm="a"\r\nVariable-A: b\r\n\r\nno'
  const worker = await scripted(t, [said(allowed), said(denied), said('X: y\r\n\r\n')])
  const inner = makeGateway(() => page)
  const gateway = gatewayTo(t, worker.path, inner.gateway)

  const request = makeRequest({ query: 'a=b' })
  t.equal(await within('the answer', gateway.send(request)), page)
  t.strictSame([...(inner.seen[0]?.authorized ?? [])], [['REMOTE_USER', 'ann']])
  const variables = worker.seen[0] ?? new Map<string, string>()
  for (const name of ['CONTENT_LENGTH', 'SCRIPT_NAME', 'PATH_INFO', 'PATH_TRANSLATED']) {
    t.equal(variables.has(name), false, name)
  }
  const want = {
    FCGI_ROLE: 'AUTHORIZER',
    REQUEST_METHOD: 'POST',
    REQUEST_URI: '/app/x',
    QUERY_STRING: 'a=b',
    HTTP_AUTHORIZATION: 'Basic eA==',
  }
  for (const [name, value] of Object.entries(want)) t.equal(variables.get(name), value, name)

  const refused = await within('the refusal', gateway.send(makeRequest()))
  t.equal(refused.status, 401)
  t.strictSame(refused.headers, ['WWW-Authenticate', 'Basic realm="a"'])
  let text = ''
  await new Promise<void>((resolve, reject) => {
    refused.body.flow({
      data: chunk => {
        text += chunk.toString()
      },
      end: resolve,
      fail: reject,
    })
  })
  t.equal(text, 'no')

  await within('200 when it says nothing else', gateway.send(makeRequest()))
  t.equal(inner.seen.length, 2)
  t.strictSame(worker.roles, [2, 2, 2])
  t.equal(worker.connections(), 1, 'one connection for all')
})

t.test('G-9, G-12, gone: no authorizer, no entry', async t => {
  const worker = await scripted(t, [end(1), end(1, 0, 3)])
  const inner = makeGateway(() => page)
  const gateway = gatewayTo(t, worker.path, inner.gateway)
  await t.rejects(gateway.send(makeRequest()), { code: 'UPSTREAM_NO_OUTPUT', status: 502 })
  await t.rejects(gateway.send(makeRequest()), { code: 'UPSTREAM_ROLE', status: 502 })
  const nobody = gatewayTo(t, `${worker.path}.not`, inner.gateway)
  await t.rejects(nobody.send(makeRequest()), { code: 'UPSTREAM_UNREACHABLE', status: 502 })
  t.strictSame(inner.seen, [])
})
