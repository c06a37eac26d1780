/**
 * Static files, and files that a program asks to be sent (X-Sendfile).
 *
 * `locate.ts` finds and opens, `transmission.ts` sends. Here is what surrounds them: methods, the slash
 * at the end of a directory, and starting over when a file changes under our hands. Nothing is cached: a
 * file is as fresh as its stat. `send` is loaded with the first request, so that the server starts at once.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { fromText } from '../byte-string.js'
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'
import { FileTree, type FileTreeOptions, mergeSlashes, type OpenFile, openFile } from './locate.js'
import { type Manner, type Send, Transmission } from './transmission.js'

/** Sends files. Both settle when the response is over or the client has gone. */
export interface StaticFiles {
  /**
   * Answers GET and HEAD of a decoded, normalised path; an encoded slash in it (U+012F) is never found.
   * @throws GatewayError NOT_FOUND, FORBIDDEN, METHOD_NOT_ALLOWED, INTERNAL before anything was sent;
   * TRUNCATED or INTERNAL after the head, with the connection destroyed
   */
  serve(req: IncomingMessage, res: ServerResponse, path: ByteString): Promise<void>
  /**
   * Sends the file at an absolute path with the program's status and fields (name, value…). That the file
   * may be sent is the caller's to know.
   * @throws GatewayError as `serve` does
   */
  sendFile(
    req: IncomingMessage,
    res: ServerResponse,
    file: string,
    headers: readonly ByteString[],
    status: number,
  ): Promise<void>
}

const asStatic: Manner = { status: 200, headers: [], partial: true, cacheControl: true }

/** How often sending begins anew because the file was rewritten meanwhile. */
const RESTARTS = 2

/** The files below one root. Nothing is opened or looked up before the first request. */
export function createStaticFiles(options: FileTreeOptions): StaticFiles {
  const tree = new FileTree(options)
  let loaded: Send | undefined

  /** Sends what `find` finds; tells when it is a directory. */
  const transmit = async (
    req: IncomingMessage,
    res: ServerResponse,
    find: () => Promise<OpenFile | 'directory'>,
    manner: Manner,
  ): Promise<'directory' | undefined> => {
    loaded ??= (await import('send')).default
    for (let left = RESTARTS; ; left--) {
      const found = await find()
      if (found === 'directory') return found
      try {
        await new Transmission(loaded, req, res, found, left > 0).run(manner)
        return undefined
      } catch (error) {
        if (left === 0 || !hasChanged(error) || res.headersSent) throw error
      }
    }
  }

  return {
    async serve(req, res, path) {
      if (req.method !== 'GET' && req.method !== 'HEAD') {
        // The detail becomes the Allow field.
        throw new GatewayError('METHOD_NOT_ALLOWED', 'GET, HEAD')
      }
      const found = await transmit(req, res, () => tree.find(path), asStatic)
      if (found === 'directory') await redirect(req, res, path)
    },

    async sendFile(req, res, file, headers, status) {
      const partial = status === 200 && (req.method === 'GET' || req.method === 'HEAD')
      const manner = { status, headers, partial, cacheControl: false }
      const found = await transmit(req, res, () => openFile(fromText(file)), manner)
      if (found === 'directory') throw new GatewayError('NOT_FOUND', 'It is a directory.')
    },
  }
}

function hasChanged(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'TRUNCATED'
}

/** To the same path with a slash: relative links of the index file depend on it. */
function redirect(req: IncomingMessage, res: ServerResponse, path: ByteString): Promise<void> {
  const url = req.url ?? ''
  const queryAt = url.indexOf('?')
  const query = queryAt === -1 ? '' : url.slice(queryAt)
  return new Promise(resolve => {
    if (res.destroyed) {
      resolve()
      return
    }
    res.once('close', resolve)
    res.statusCode = 301
    // One slash at the beginning: `//evil.test/` would be another site.
    res.setHeader('Location', `${encodePath(mergeSlashes(path))}/${query}`)
    res.setHeader('Content-Length', 0)
    res.end()
  })
}

const keptInPath = /[A-Za-z0-9/\-._~!$&'()*+,;=:@]/

/** Percent-encoding of what RFC 3986 §3.3 does not allow in a path; a backslash too, browsers take it for a slash. */
function encodePath(path: ByteString): string {
  let encoded = ''
  for (const character of path) {
    if (keptInPath.test(character)) encoded += character
    else encoded += `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}
