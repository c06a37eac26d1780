/**
 * The words after `postern call`: yargs finds the flags, this file reads their values and refuses the rest.
 *
 * Every mistake is a ConfigError that names the flag and what to write. What a request is made of them is
 * `call-request.ts`.
 */
import { resolve } from 'node:path'
import yargs from 'yargs'
import type { Role } from '../fastcgi/record.js'
import { parseAddress } from '../server/address.js'
import { ConfigError } from '../server/config-error.js'
import { parseDuration } from '../server/units.js'
import type { Address } from '../upstream/address.js'
import {
  many,
  mistake,
  one,
  plainParsing,
  read,
  readVariable,
  unexpected,
  unknownFlag,
  unknownName,
  type Values,
  wholeNumber,
} from './command-line.js'

const protocols = ['fastcgi', 'scgi', 'uwsgi'] as const
export type CallProtocol = (typeof protocols)[number]

/** What `call` was asked to do. Texts are as typed. */
export interface CallFlags {
  readonly address: Address
  /** Path with query, begins with `/`. */
  readonly target: string
  /** Undefined: GET, or POST with a body. */
  readonly method: string | undefined
  /** The body itself, `@file`, or `-` for standard input. */
  readonly data: string | undefined
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly env: readonly (readonly [name: string, value: string])[]
  readonly root: string | undefined
  readonly script: string | undefined
  readonly protocol: CallProtocol
  /** First byte of a uwsgi packet (H-8). */
  readonly modifier1: number
  readonly role: Role
  readonly include: boolean
  readonly trace: boolean
  readonly fail: boolean
  /** 0: none. */
  readonly timeoutMs: number
}

const text = { type: 'string', requiresArg: true } as const
const flag = { type: 'boolean' } as const
/** Without filter: there is nothing here that would be its DATA. */
const roles = ['responder', 'authorizer'] as const satisfies readonly Role[]

const options = {
  request: { ...text, alias: 'X', describe: 'Method', defaultDescription: 'GET, POST with -d' },
  data: { ...text, alias: 'd', describe: 'Body; @FILE is a file, - standard input' },
  header: { ...text, alias: 'H', describe: '"Name: value"; may be repeated' },
  env: { ...text, describe: 'NAME=value: a variable as it is, wins; may be repeated' },
  root: { ...text, describe: 'DOCUMENT_ROOT; a file of it that the path names is the script' },
  script: { ...text, describe: 'SCRIPT_FILENAME; SCRIPT_NAME is then the path' },
  protocol: { ...text, describe: protocols.join(', '), defaultDescription: 'fastcgi' },
  modifier1: { ...text, describe: 'uwsgi: 0 Python, 5 Perl, 9 CGI', defaultDescription: '0' },
  role: { ...text, describe: `FastCGI: ${roles.join(', ')}`, defaultDescription: 'responder' },
  include: { ...flag, alias: 'i', describe: 'Print the head as well' },
  trace: { ...flag, describe: 'Print what is said, both ways, on stderr' },
  fail: { ...flag, alias: 'f', describe: 'Exit with 22 when the status is 400 or more' },
  timeout: { ...text, describe: 'Time limit; 0 is none', defaultDescription: '30s' },
} as const

const defaultTimeoutMs = 30_000
type Name = keyof typeof options

const seeHelp = 'see postern call --help'

/**
 * Reads the command line; undefined when help or the version was asked for and printed.
 * @throws ConfigError for a flag or value that is not understood
 */
export function readCallFlags(words: readonly string[], version: string): CallFlags | undefined {
  const values: Values<Name> = yargs([...words])
    .scriptName('postern call')
    .locale('en')
    .usage(
      '$0 ADDRESS /path\n\nSends one request to a FastCGI, SCGI or uwsgi application and prints its answer, as curl does for HTTP.',
    )
    .options(options)
    .version(version)
    .alias('help', 'h')
    .example('$0 unix:/run/app.sock "/list?page=2"', 'GET')
    .example('$0 127.0.0.1:9000 /index.php --root /srv/www', 'A page of php-fpm')
    .example('$0 127.0.0.1:9000 / -d @body.json -H "Content-Type: application/json" -i', 'POST')
    .example('$0 127.0.0.1:9000 / --trace', 'What is said on the wire')
    .example('$0 127.0.0.1:3031 / --protocol uwsgi', 'A WSGI application of uWSGI')
    .epilogue('ADDRESS is unix:/path/to.sock, host:port or tcp:host:port.')
    .epilogue('Exit code: 0 answered, 1 no answer, 2 a mistake in the flags, 22 see --fail.')
    .exitProcess(false)
    .showHelpOnFail(false)
    .fail((message, error) => {
      throw error instanceof ConfigError ? error : mistake('call', message, seeHelp)
    })
    .parserConfiguration(plainParsing)
    .parseSync()
  if (values.help === true || values.version === true) return undefined
  const unknown = unknownName(values, options, ['version'])
  if (unknown !== undefined) throw unknownFlag(unknown, options, seeHelp)
  const [address, target, ...more] = Array.isArray(values._) ? values._.map(String) : []
  if (more[0] !== undefined) throw mistake(more[0], 'one path at a time', seeHelp)
  const protocol = readProtocol(one(values, 'protocol'))
  refuseForeign(values, protocol)
  return {
    address: readAddress(address),
    target: readTarget(target),
    method: readMethod(one(values, 'request')),
    data: one(values, 'data'),
    headers: many(values, 'header').map(readHeader),
    env: many(values, 'env').map(pair => readVariable(pair, '--env HTTPS=on')),
    root: one(values, 'root'),
    script: one(values, 'script'),
    protocol,
    modifier1:
      read(values, 'modifier1', wholeNumber(0, 255), 'a number from 0 to 255', '--modifier1 5') ??
      0,
    role: readRole(one(values, 'role')),
    include: values.include === true,
    trace: values.trace === true,
    fail: values.fail === true,
    timeoutMs: readTimeout(one(values, 'timeout')),
  }
}

function readAddress(word: string | undefined): Address {
  const address = parseAddress(word)
  if (address === undefined) {
    throw unexpected('call', 'an address', word, 'postern call unix:/run/app.sock /')
  }
  return address.kind === 'unix' ? { kind: 'unix', path: resolve(address.path) } : address
}

function readTarget(word: string | undefined): string {
  if (word?.startsWith('/') === true) return word
  throw unexpected('call', 'a path that begins with /', word, 'postern call 127.0.0.1:9000 /')
}

const token = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/

function readMethod(word: string | undefined): string | undefined {
  if (word === undefined || token.test(word)) return word
  throw unexpected('--request', 'a method', word, '-X DELETE')
}

function readHeader(line: string): [string, string] {
  const colon = line.indexOf(':')
  const name = line.slice(0, Math.max(0, colon)).trim()
  if (token.test(name)) return [name, line.slice(colon + 1).trim()]
  throw unexpected('--header', '"Name: value"', line, '-H "Accept: text/html"')
}

function readProtocol(word: string | undefined): CallProtocol {
  const found = word === undefined ? 'fastcgi' : protocols.find(name => name === word)
  if (found !== undefined) return found
  throw unexpected('--protocol', 'fastcgi, scgi or uwsgi', word, '--protocol scgi')
}

/** Flags that mean something in one protocol only. */
function refuseForeign(values: Values<Name>, protocol: CallProtocol): void {
  for (const [name, owner] of [
    ['role', 'fastcgi'],
    ['modifier1', 'uwsgi'],
  ] as const) {
    if (values[name] === undefined || protocol === owner) continue
    throw mistake(`--${name}`, `${protocol} has no such thing`, `add --protocol ${owner}`)
  }
}

function readRole(word: string | undefined): Role {
  const found = word === undefined ? 'responder' : roles.find(name => name === word)
  if (found !== undefined) return found
  throw unexpected('--role', roles.join(' or '), word, '--role authorizer')
}

function readTimeout(word: string | undefined): number {
  const ms = word === undefined ? defaultTimeoutMs : parseDuration(word)
  if (ms !== undefined) return ms
  throw unexpected('--timeout', 'a duration', word, '--timeout 500ms, or 0 for none')
}
