/**
 * `createServer(handler)`: a node:http handler behind any web server, as a FastCGI or SCGI application that
 * was started or that listens, or as a CGI program.
 *
 * Joins the parts; how the process was started is `serve.ts`, one request is `answer.ts`. May grow: a
 * protocol, with a responder that has `listen`, `address` and `close`.
 */
import type { AddressInfo } from 'node:net'
import type { ListenTarget } from '../cgi/app-listener.js'
import { Responder } from '../fastcgi/responder.js'
import { type ResponderOptions, responderSettings } from '../fastcgi/responder-options.js'
import { ScgiResponder } from '../scgi/responder.js'
import { type ScgiResponderOptions, scgiResponderSettings } from '../scgi/responder-options.js'
import { answer, type RequestHandler } from './answer.js'
import { CgiChannel } from './cgi-channel.js'
import { environmentVariables, exit, exitOnTerm, howStarted, webServerAddresses } from './serve.js'

/** Settings of both protocols. */
interface ServerOptions {
  /** On TERM, close and exit with status 0. Default: true when a web server started this process (`listen()`). */
  readonly exitOnTerm?: boolean
}

export interface FastCgiServerOptions extends ResponderOptions, ServerOptions {
  /** What is spoken where it listens; default FastCGI. */
  readonly protocol?: 'fastcgi'
}

export interface ScgiServerOptions extends ScgiResponderOptions, ServerOptions {
  readonly protocol: 'scgi'
}

export interface FastCgiServer {
  /**
   * Without a target: serves the web server that started this process, over the socket on descriptor 0, or
   * the one request of a CGI program, after which the process exits. With one: serves the protocol there; a
   * port alone is one of 127.0.0.1. Settles when it listens, or the CGI request has been handed over.
   * @throws Error when no web server has started the process; the system's error when it cannot listen
   */
  listen(target?: ListenTarget): Promise<void>
  /** As node:net has it; null before `listen`, and as a CGI program. */
  address(): AddressInfo | string | null
  /** Stops accepting, lets requests finish, closes connections; settles then. */
  close(): Promise<void>
}

/**
 * Serves a node:http handler (a function, an Express application, Koa's `callback()`).
 *
 * `req.url` is REQUEST_URI, the whole target; all variables are `variablesOf(req)`; `req.signal` is aborted
 * when the web server gives the request up.
 * @throws RangeError for a limit that makes no sense, or a protocol that is not known
 */
export function createServer(
  handler: RequestHandler,
  options: FastCgiServerOptions | ScgiServerOptions = {},
): FastCgiServer {
  const { responder, maxBufferedBytes } = createListener(handler, options)
  const close = (): Promise<void> => responder.close()

  return {
    close,
    address: () => responder.address(),
    listen: async target => {
      const start = target === undefined ? howStarted() : undefined
      if (start === 'cgi') return answerCgi(handler, maxBufferedBytes)
      const where = target ?? (start === 'socket' ? { fd: 0 } : undefined)
      if (where === undefined) throw new Error(notStarted)
      await responder.listen(where)
      if (options.exitOnTerm ?? start === 'socket') exitOnTerm(close)
    },
  }
}

/** The responder of the protocol. */
function createListener(
  handler: RequestHandler,
  options: FastCgiServerOptions | ScgiServerOptions,
): { responder: Responder | ScgiResponder; maxBufferedBytes: number } {
  const { protocol } = options
  switch (options.protocol) {
    case 'scgi': {
      const settings = scgiResponderSettings(options)
      const responder = new ScgiResponder(settings, request => answer(handler, request))
      return { responder, maxBufferedBytes: settings.maxBufferedBytes }
    }
    case 'fastcgi':
    case undefined: {
      const settings = responderSettings({ webServerAddresses: webServerAddresses(), ...options })
      const responder = new Responder(settings, request => answer(handler, request))
      return { responder, maxBufferedBytes: settings.maxBufferedBytes }
    }
    default:
      throw new RangeError(`protocol: expected fastcgi or scgi, got ${String(protocol)}`)
  }
}

const notStarted =
  'listen() without an address serves the web server that started the process, and none did: ' +
  'descriptor 0 is not a listening socket, and GATEWAY_INTERFACE is not set. Name a port or a path.'

function answerCgi(handler: RequestHandler, maxBufferedBytes: number): void {
  const channel = new CgiChannel({
    variables: environmentVariables(),
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    maxBufferedBytes,
    end: exit,
  })
  answer(handler, channel)
  channel.start()
}
