/**
 * The variables of requests to a program that was not started for them: those of each request, and what the
 * route adds to every one (L-5).
 *
 * What does not depend on the request is made once. Which variables there are is `cgi/meta-variables.ts`;
 * bounded by the limits on the request's head.
 */
import { configuredVariables } from '../cgi/environment.js'
import { metaVariables } from '../cgi/meta-variables.js'
import type { EnvConfig } from '../cgi/options.js'
import type { ByteString, GatewayRequest } from '../gateway.js'

export interface RequestVariablesOptions {
  readonly env: EnvConfig
  /** The server's own environment, for `env.pass`. */
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
  /** SCRIPT_FILENAME; undefined: the program has no files. */
  readonly file: ByteString | undefined
}

/** Below a prefix without files the rest of the path is PATH_INFO. */
export function placeBelow(prefix: ByteString, rest: ByteString): ScriptPlace {
  return { scriptName: prefix, pathInfo: rest === '' ? undefined : rest, file: undefined }
}

export class RequestVariables {
  /** What every request has; what a request says under these names does not count. */
  readonly fixed: Map<ByteString, ByteString>
  readonly #options: RequestVariablesOptions

  /** @throws TypeError for a NUL in a configured value */
  constructor(options: RequestVariablesOptions) {
    this.#options = options
    this.fixed = configuredVariables(options.env, options.hostEnvironment)
  }

  /** The variables of one request, those of the route aside. @throws GatewayError BAD_HEADER */
  of(
    request: GatewayRequest,
    place: ScriptPlace,
    contentLength: number | undefined,
  ): Map<ByteString, ByteString> {
    const options = this.#options
    return metaVariables({
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
  }
}
