/**
 * The PARAMS of requests: the variables of a request, and what a route adds to every one of them (L-5).
 *
 * What does not depend on the request is encoded once. Which variables there are is
 * `cgi/meta-variables.ts`; bounded by the limits on the request's head.
 */
import { configuredVariables } from '../cgi/environment.js'
import { metaVariables } from '../cgi/meta-variables.js'
import type { EnvConfig } from '../cgi/options.js'
import type { ByteString, GatewayRequest } from '../gateway.js'
import { encodePairs } from './name-value.js'
import type { Role } from './record.js'

export interface ParamsOptions {
  readonly role: Role
  readonly env: EnvConfig
  readonly hostEnvironment: NodeJS.ProcessEnv
  /** Absolute; DOCUMENT_ROOT and the base of PATH_TRANSLATED. */
  readonly documentRoot: ByteString | undefined
  readonly serverName: string | undefined
  readonly serverSoftware: string
  readonly passAuthorization: boolean
  readonly ambiguousHeaders: 'drop' | 'reject' | 'allow'
  /** Called for each field that is dropped because of its name. */
  readonly onDropped: (name: ByteString, reason: string) => void
}

/** Which program answers, and with what behind its name. */
export interface ScriptPlace {
  readonly scriptName: ByteString
  readonly pathInfo: ByteString | undefined
  /** SCRIPT_FILENAME; undefined: the application has no files. */
  readonly file: ByteString | undefined
}

/** Not for an authorizer: it decides before there is a script (FastCGI §6.3). */
const notForAuthorizers = ['CONTENT_LENGTH', 'PATH_INFO', 'PATH_TRANSLATED', 'SCRIPT_NAME']

export class Params {
  /** Pairs that every request has, encoded. */
  readonly fixedPairs: Buffer
  readonly #options: ParamsOptions
  /** Names of the fixed pairs: what a request says under them does not count. */
  readonly #fixedNames: readonly ByteString[]

  /** @throws TypeError for a NUL in a configured value */
  constructor(options: ParamsOptions) {
    this.#options = options
    const fixed = configuredVariables(options.env, options.hostEnvironment)
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
    const options = this.#options
    const variables = metaVariables({
      request,
      scriptName: place.scriptName,
      pathInfo: place.pathInfo,
      scriptFilename: place.file,
      documentRoot: options.documentRoot,
      contentLength,
      serverSoftware: options.serverSoftware,
      serverName: options.serverName,
      passAuthorization: options.passAuthorization,
      ambiguousHeaders: options.ambiguousHeaders,
      preset: undefined,
      onDropped: options.onDropped,
    })
    for (const name of this.#fixedNames) variables.delete(name)
    return variables
  }
}
