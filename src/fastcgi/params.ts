/**
 * The PARAMS of requests: the variables of a request, and what a route adds to every one of them (L-5).
 *
 * What does not depend on the request is encoded once. Which variables there are is
 * `backend/request-variables.ts`; bounded by the limits on the request's head.
 */
import {
  RequestVariables,
  type RequestVariablesOptions,
  type ScriptPlace,
} from '../backend/request-variables.js'
import type { ByteString, GatewayRequest } from '../gateway.js'
import { encodePairs } from './name-value.js'
import type { Role } from './record.js'

export interface ParamsOptions extends RequestVariablesOptions {
  readonly role: Role
}

/** Not for an authorizer: it decides before there is a script (FastCGI §6.3). */
const notForAuthorizers = ['CONTENT_LENGTH', 'PATH_INFO', 'PATH_TRANSLATED', 'SCRIPT_NAME']

export class Params {
  /** Pairs that every request has, encoded. */
  readonly fixedPairs: Buffer
  readonly #variables: RequestVariables
  /** Names of the fixed pairs: what a request says under them does not count. */
  readonly #fixedNames: readonly ByteString[]

  /** @throws TypeError for a NUL in a configured value */
  constructor(options: ParamsOptions) {
    this.#variables = new RequestVariables(options)
    const { fixed } = this.#variables
    fixed.set('FCGI_ROLE', options.role.toUpperCase())
    this.fixedPairs = encodePairs(fixed)
    this.#fixedNames = [
      ...fixed.keys(),
      ...(options.role === 'authorizer' ? notForAuthorizers : []),
    ]
  }

  /** The variables of one request, those of the route aside. @throws GatewayError BAD_HEADER */
  of(
    request: GatewayRequest,
    place: ScriptPlace,
    contentLength: number | undefined,
  ): Map<ByteString, ByteString> {
    const variables = this.#variables.of(request, place, contentLength)
    for (const name of this.#fixedNames) variables.delete(name)
    return variables
  }
}
