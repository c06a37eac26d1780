/**
 * Asks a FastCGI authorizer before a gateway gets a request (FastCGI §6.3, conventions G-22).
 *
 * 200 lets the request pass: what else the authorizer wrote is not for the client, but its `Variable-NAME`
 * fields become variables of the request, REMOTE_USER and AUTH_TYPE among them. Every other status is the
 * answer. No answer is a failure: nobody passes because the authorizer is down. Holds nothing between requests.
 */
import type { ProgramRouteConfig } from '../cgi/options.js'
import type {
  BodySink,
  ByteString,
  Gateway,
  GatewayRequest,
  GatewayResponse,
  RequestBody,
  ResponseBody,
} from '../gateway.js'
import type { Address } from '../upstream/address.js'
import { defaultFastCgiRoute, type FastCgiRouteConfig } from './options.js'

/** What an authorizer says about a request. */
export type AuthorizerAnswer =
  | { readonly kind: 'allowed'; readonly variables: ReadonlyMap<ByteString, ByteString> }
  | { readonly kind: 'refused'; readonly response: GatewayResponse }

/** Who decides whether a request may pass. */
export interface Authorizer {
  /** The body of the request is not touched. @throws GatewayError when there is no answer */
  ask(request: GatewayRequest): Promise<AuthorizerAnswer>
  close(): Promise<void>
  kill(): void
}

/** A gateway behind an authorizer. */
export class AuthorizedGateway implements Gateway {
  readonly #inner: Gateway
  readonly #authorizer: Authorizer

  constructor(options: { readonly inner: Gateway; readonly authorizer: Authorizer }) {
    this.#inner = options.inner
    this.#authorizer = options.authorizer
  }

  async send(request: GatewayRequest): Promise<GatewayResponse> {
    const answer = await this.#authorizer.ask(request)
    if (answer.kind === 'refused') return answer.response
    return await this.#inner.send({ ...request, authorized: answer.variables })
  }

  async close(): Promise<void> {
    await Promise.all([this.#inner.close(), this.#authorizer.close()])
  }

  kill(): void {
    this.#inner.kill()
    this.#authorizer.kill()
  }
}

/**
 * An authorizer behind a gateway that speaks FastCGI in the role `authorizer`: it leaves out CONTENT_LENGTH,
 * SCRIPT_NAME, PATH_INFO and PATH_TRANSLATED.
 */
export class GatewayAuthorizer implements Authorizer {
  readonly #gateway: Gateway

  constructor(gateway: Gateway) {
    this.#gateway = gateway
  }

  async ask(request: GatewayRequest): Promise<AuthorizerAnswer> {
    const facts: GatewayRequest['facts'] = {}
    try {
      // What is learned on the way is about another program than the one that the access line means.
      const response = await this.#gateway.send({
        ...request,
        body: noBody,
        inform: dropped,
        facts,
      })
      if (response.status === 200) {
        const variables = variablesOf(response.headers)
        drain(response.body)
        return { kind: 'allowed', variables }
      }
      Object.assign(request.facts, facts)
      return { kind: 'refused', response: withoutVariables(response) }
    } catch (error) {
      Object.assign(request.facts, facts)
      throw error
    }
  }

  close(): Promise<void> {
    return this.#gateway.close()
  }

  kill(): void {
    this.#gateway.kill()
  }
}

/** The route of the authorizer at `address` that is asked for `route`: it sees Authorization, which it may have to check. */
export function authorizerRoute(route: ProgramRouteConfig, address: Address): FastCgiRouteConfig {
  const { path, env, queue, timeouts, limits, encodedSlash, ambiguousHeaders } = route
  return {
    ...defaultFastCgiRoute,
    path,
    env,
    queue,
    limits,
    encodedSlash,
    ambiguousHeaders,
    backend: { kind: 'addresses', addresses: [address] },
    timeouts: { ...defaultFastCgiRoute.timeouts, ...timeouts },
    passAuthorization: true,
  }
}

const dropped = (): void => {}
const noBody: RequestBody = { length: undefined, stream: undefined, invite: dropped }

const variableField = /^variable-(.+)$/i
const notInNames = /[^A-Za-z0-9_]/g
/** CVE-2016-5385 (httpoxy), and what would contradict the body that is sent. */
const neverSet: ReadonlySet<string> = new Set(['HTTP_PROXY', 'CONTENT_LENGTH'])

/** `Variable-Remote-User: a` → REMOTE_USER=a; of two with one name the last wins. */
function variablesOf(headers: readonly ByteString[]): Map<ByteString, ByteString> {
  const variables = new Map<ByteString, ByteString>()
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const field = variableField.exec(headers[i] ?? '')?.[1]
    if (field === undefined) continue
    const name = field.replace(notInNames, '_').toUpperCase()
    if (!neverSet.has(name)) variables.set(name, headers[i + 1] ?? '')
  }
  return variables
}

/** They are between the authorizer and us. */
function withoutVariables(response: GatewayResponse): GatewayResponse {
  const headers: ByteString[] = []
  for (let i = 0; i + 1 < response.headers.length; i += 2) {
    const name = response.headers[i] ?? ''
    if (!variableField.test(name)) headers.push(name, response.headers[i + 1] ?? '')
  }
  return { ...response, headers }
}

/** More than an authorizer has to say; past it its connection is given up. */
const drainedBytes = 64 * 1024

/** Reads the body and drops it, so that the connection can be used again. */
function drain(body: ResponseBody): void {
  let left = drainedBytes
  const sink: BodySink = {
    data: chunk => {
      left -= chunk.length
      body.recycle?.(chunk)
      if (left < 0) body.cancel()
    },
    end: dropped,
    fail: dropped,
  }
  body.flow(sink)
}
