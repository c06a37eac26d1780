/**
 * What `postern call` sends: the flags as the variables and the body of a request.
 *
 * The variables are made where the server makes them, so that a program sees here what it will see there.
 * Standard input is read into memory, up to `maxInputBytes`; files are streamed.
 */
import { randomUUID } from 'node:crypto'
import { createReadStream, fstatSync, openSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { fromText } from '../byte-string.js'
import { metaVariables } from '../cgi/meta-variables.js'
import { GatewayError } from '../errors.js'
import type { ByteString, GatewayRequest } from '../gateway.js'
import { ConfigError } from '../server/config-error.js'
import { parseTarget, settleEncodedSlashes } from '../server/target.js'
import { serverSoftware } from '../version.js'
import type { CallFlags } from './call-flags.js'

/** A body and its length. */
export interface CallBody {
  readonly content: Buffer | Readable
  readonly length: number
}

const maxInputBytes = 256 * 1024 * 1024

/** The body that -d asks for. @throws ConfigError for a file that cannot be read */
export async function callBody(
  data: string | undefined,
  input: Readable,
): Promise<CallBody | undefined> {
  if (data === undefined) return undefined
  if (data === '-') return whole(input)
  if (data.startsWith('@')) return file(data.slice(1))
  const content = Buffer.from(data)
  return { content, length: content.length }
}

async function whole(input: Readable): Promise<CallBody> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of input) {
    length += chunk.length
    if (length > maxInputBytes) {
      const problem = `standard input is longer than ${maxInputBytes} bytes`
      throw new ConfigError({ flag: '--data' }, problem, 'name a file: -d @FILE')
    }
    chunks.push(chunk)
  }
  return { content: Buffer.concat(chunks), length }
}

function file(path: string): CallBody {
  try {
    const fd = openSync(path, 'r')
    const stat = fstatSync(fd)
    if (!stat.isFile()) throw new Error('not a file')
    // Not more than was announced, should the file grow meanwhile.
    const end = Math.max(0, stat.size - 1)
    const content = stat.size === 0 ? Buffer.alloc(0) : createReadStream('', { fd, end })
    return { content, length: stat.size }
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'not a file'
    throw new ConfigError({ flag: '--data' }, `cannot read ${path}: ${why}`, 'correct the name')
  }
}

/**
 * The variables, byte strings.
 * @throws ConfigError for a path or a header that a server would refuse as well
 */
export function callVariables(
  flags: CallFlags,
  contentLength: number | undefined,
): Map<ByteString, ByteString> {
  const request = refusing(() => requestOf(flags, contentLength))
  const variables = refusing(() =>
    metaVariables({
      request,
      ...pathsOf(flags, request.path),
      contentLength,
      serverSoftware,
      serverName: undefined,
      passAuthorization: true,
      ambiguousHeaders: 'allow',
      preset: undefined,
    }),
  )
  if (flags.protocol === 'fastcgi') variables.set('FCGI_ROLE', flags.role.toUpperCase())
  // FastCGI §6.3 (conventions G-22): an authorizer is asked about a request, not for a page.
  if (flags.role === 'authorizer') for (const name of notForAuthorizers) variables.delete(name)
  for (const [name, value] of flags.env) variables.set(fromText(name), fromText(value))
  return variables
}

const notForAuthorizers = ['CONTENT_LENGTH', 'PATH_INFO', 'PATH_TRANSLATED', 'SCRIPT_NAME']

/** What the server would have made of it, had it come over HTTP from this machine. */
function requestOf(flags: CallFlags, contentLength: number | undefined): GatewayRequest {
  const method = flags.method ?? (flags.data === undefined ? 'GET' : 'POST')
  const rawHeaders = headersOf(flags)
  const hosts = rawHeaders.filter(
    (_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === 'host',
  )
  const target = parseTarget(fromText(flags.target), method, hosts, 'HTTP/1.1')
  return {
    id: randomUUID(),
    method,
    target: target.target,
    protocol: 'HTTP/1.1',
    path: settleEncodedSlashes(target.path, 'decode'),
    rest: '',
    query: target.query,
    rawHeaders,
    host: target.host,
    remote: { address: '127.0.0.1', port: undefined },
    local: { address: '127.0.0.1', port: 80 },
    tls: false,
    body: { length: contentLength, stream: undefined, invite: () => {} },
    signal: new AbortController().signal,
    redirects: 0,
    authorized: undefined,
    inform: () => {},
    facts: {},
  }
}

/** name, value…: those given, and what curl would have sent without being asked. */
function headersOf(flags: CallFlags): ByteString[] {
  const given = new Set(flags.headers.map(([name]) => name.toLowerCase()))
  const added: [string, string][] = [
    ['Host', 'localhost'],
    ['User-Agent', serverSoftware],
    ['Accept', '*/*'],
  ]
  if (flags.data !== undefined) added.push(['Content-Type', 'application/x-www-form-urlencoded'])
  return [...added.filter(([name]) => !given.has(name.toLowerCase())), ...flags.headers].flatMap(
    ([name, value]) => [fromText(name), fromText(value)],
  )
}

/** With --script all of the path is its name; with --root the files decide; else all of it is PATH_INFO. */
function pathsOf(flags: CallFlags, path: ByteString) {
  const script = flags.script === undefined ? undefined : resolve(flags.script)
  const root = resolve(flags.root ?? (script === undefined ? '.' : dirname(script)))
  const documentRoot = fromText(root)
  if (script !== undefined) {
    const scriptFilename = fromText(script)
    return { scriptName: path, pathInfo: undefined, scriptFilename, documentRoot }
  }
  const end = flags.root === undefined ? 0 : endOfFile(root, path)
  if (end === 0) return { scriptName: '', pathInfo: path, scriptFilename: undefined, documentRoot }
  const scriptName = path.slice(0, end)
  const pathInfo = end === path.length ? undefined : path.slice(end)
  const scriptFilename = (documentRoot === '/' ? '' : documentRoot) + scriptName
  return { scriptName, pathInfo, scriptFilename, documentRoot }
}

/** Where the first part of the path ends that is a file below the root; 0 when none is. */
function endOfFile(root: string, path: ByteString): number {
  for (let end = path.indexOf('/', 1); ; end = path.indexOf('/', end + 1)) {
    const part = end === -1 ? path : path.slice(0, end)
    const name = Buffer.from(fromText(root) + part, 'latin1')
    if (statSync(name, { throwIfNoEntry: false })?.isFile() === true) return part.length
    if (end === -1) return 0
  }
}

/** What a server refuses is a mistake in the flags here. */
function refusing<T>(make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    throw new ConfigError({ flag: 'call' }, withoutStop(error.message), withoutStop(error.remedy))
  }
}

function withoutStop(sentence: string): string {
  return sentence.endsWith('.') ? sentence.slice(0, -1) : sentence
}
