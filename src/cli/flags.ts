/**
 * The words after `postern`: yargs finds the flags, this file reads their values and refuses the rest.
 *
 * Every mistake is a ConfigError that names the flag and what to write. Commands and kinds of routes
 * that are not built yet are known by name here, so that nobody mistakes `postern check` for a folder.
 */
import { existsSync } from 'node:fs'
import yargs from 'yargs'
import { parseAddress, parseHost, parseHttpAddress } from '../server/address.js'
import { ConfigError, showValue } from '../server/config-error.js'
import type { ConfigOverrides, MountOverride } from '../server/config-folder.js'
import { nearMiss } from '../server/near-miss.js'
import { faultOfRoutePath, withTrailingSlash } from '../server/route-path.js'
import {
  plainParsing,
  read,
  unexpected,
  unknownFlag,
  unknownName,
  type Values,
  wholeNumber,
} from './command-line.js'
import { commandNames, unbuiltCommands } from './command-names.js'

/** What `serve` was asked to do. */
export interface ServeFlags {
  /** The folder to serve, or undefined for the current one. */
  readonly directory: string | undefined
  /** The configuration file named with -c. */
  readonly config: string | undefined
  readonly overrides: ConfigOverrides
}

const knownWords = ['serve', ...commandNames, ...unbuiltCommands]
const accessFormats = ['combined', 'json', 'off'] as const
const levels = ['debug', 'info', 'warn', 'error', 'silent'] as const

const text = { type: 'string' } as const

const options = {
  port: { ...text, alias: 'p', describe: 'Port; 0 picks a free one', defaultDescription: '8000' },
  host: { ...text, alias: 'H', describe: 'Address', defaultDescription: '127.0.0.1' },
  config: {
    ...text,
    alias: 'c',
    describe: 'Configuration file',
    defaultDescription: 'postern.yaml',
  },
  root: { ...text, describe: 'Folder of static files', defaultDescription: './public or .' },
  'cgi-bin': {
    ...text,
    describe: 'Scripts for /cgi-bin/',
    defaultDescription: './cgi-bin',
  },
  fastcgi: { ...text, describe: '/prefix/=ADDRESS of an application; may be repeated' },
  scgi: { ...text, describe: '/prefix/=ADDRESS' },
  uwsgi: { ...text, describe: '/prefix/=ADDRESS' },
  wsgi: { ...text, describe: '/prefix/=module:callable of a Python application' },
  proxy: { ...text, describe: '/prefix/=http://host:port of an HTTP server' },
  processes: { ...text, describe: 'Server processes', defaultDescription: '1' },
  'log-access': { ...text, describe: `Access lines: ${accessFormats.join(', ')}` },
  'log-level': { ...text, describe: `Log: ${levels.join(', ')}` },
  dev: { type: 'boolean', describe: 'Show the cause of failures to clients on this machine' },
} as const

/**
 * Reads the command line of `serve`; undefined when help or the version was asked for and printed.
 * @throws ConfigError for a flag, value or command that is not understood
 */
export function readFlags(words: readonly string[], version: string): ServeFlags | undefined {
  refuseUnbuiltCommand(words[0])
  refuseValueOfSwitch(words)
  const values: Values<Name> = yargs([...words])
    .scriptName('postern')
    .locale('en')
    .usage('$0 [serve] [dir]\n\nServes a folder: ./public (or .) and the scripts in ./cgi-bin.')
    .command(['serve [dir]', '$0'], 'Serve a folder or a configuration', command =>
      command.positional('dir', {
        type: 'string',
        describe: 'Folder to serve; default the current',
      }),
    )
    .options(options)
    .version(version)
    .alias('help', 'h')
    .epilogue(`Commands with a --help of their own: ${commandNames.join(', ')}.`)
    .epilogue(`Not built yet: ${unbuiltCommands.join(', ')}.`)
    .exitProcess(false)
    .showHelpOnFail(false)
    .fail((message, error) => {
      throw error instanceof ConfigError
        ? error
        : new ConfigError({ flag: 'postern' }, message, seeHelp)
    })
    .parserConfiguration(plainParsing)
    .parseSync()
  if (values.help === true || values.version === true) return undefined
  return readValues(values)
}

type Name = keyof typeof options | 'dir'

const seeHelp = 'see postern --help'

function readValues(values: Values<Name>): ServeFlags {
  const unknown = unknownName(values, options, ['version', 'dir'])
  if (unknown !== undefined) throw unknownFlag(unknown, options, seeHelp)
  const directory = readDirectory(values)
  return {
    directory,
    config: readText(values, 'config'),
    overrides: withoutAbsent({
      host: read(values, 'host', parseHost, 'a host name or address', '--host 0.0.0.0'),
      port: read(values, 'port', wholeNumber(0, 65_535), 'a port from 0 to 65535', '-p 8001'),
      root: readText(values, 'root'),
      cgiBin: readText(values, 'cgi-bin'),
      mounts: readMounts(values),
      dev: values.dev === undefined ? undefined : values.dev === true,
      processes: read(
        values,
        'processes',
        wholeNumber(1, 256),
        'a number from 1 to 256',
        '--processes 2',
      ),
      access: read(
        values,
        'log-access',
        oneOf(accessFormats),
        accessFormats.join(' or '),
        '--log-access json',
      ),
      level: read(values, 'log-level', oneOf(levels), levels.join(' or '), '--log-level warn'),
    }),
  }
}

function refuseUnbuiltCommand(word: string | undefined): void {
  if (word === undefined || !unbuiltCommands.includes(word)) return
  throw new ConfigError(
    { flag: word },
    `the command ${word} is not built yet`,
    `postern serve is; for a folder of this name write ./${word}`,
  )
}

/** yargs takes every other value for false. */
function refuseValueOfSwitch(words: readonly string[]): void {
  const word = words.find(each => /^--dev=(?!true$|false$)/.test(each))
  if (word === undefined) return
  throw unexpected('--dev', 'true or false', word.slice('--dev='.length), '--dev')
}

/** The one folder that may be named. */
function readDirectory(values: Values<Name>): string | undefined {
  const [first, ...further] = Array.isArray(values._) ? values._.map(String) : []
  const directory = values.dir === undefined ? undefined : String(values.dir)
  const [extra] = first === undefined || first === 'serve' ? further : [first]
  if (extra !== undefined) {
    throw new ConfigError(
      { flag: extra },
      'one folder at a time',
      `${seeHelp}, or write a configuration`,
    )
  }
  if (directory !== undefined && !existsSync(directory)) refuseUnknownWord(directory)
  return directory
}

function refuseUnknownWord(word: string): never {
  const meant = word.includes('/') ? undefined : nearMiss(word, knownWords)
  if (meant !== undefined) {
    throw new ConfigError(
      { flag: word },
      'neither a folder nor a command',
      `did you mean ${meant}?`,
    )
  }
  throw new ConfigError({ flag: word }, 'there is no such folder', 'create it, or correct the path')
}

function readText(values: Values<Name>, name: keyof typeof options): string | undefined {
  return read(values, name, value => value, 'a path', `--${name} PATH`)
}

const mountKinds = ['fastcgi', 'scgi', 'uwsgi', 'wsgi', 'proxy'] as const
type MountKind = (typeof mountKinds)[number]

/** Every `/prefix/=ADDRESS` of the flags that may be given several times. */
function readMounts(values: Values<Name>): MountOverride[] | undefined {
  const mounts = mountKinds.flatMap(kind => {
    const given = values[kind]
    if (given === undefined) return []
    return (Array.isArray(given) ? given : [given]).map(each => readMount(kind, String(each)))
  })
  const twin = mounts.find(({ path }, index) => mounts.findIndex(m => m.path === path) < index)
  if (twin !== undefined) {
    const problem = `${twin.path} is there twice`
    throw new ConfigError({ flag: `--${twin.kind}` }, problem, 'remove one of the two')
  }
  return mounts.length === 0 ? undefined : mounts
}

function readMount(kind: MountKind, text: string): MountOverride {
  const flag = `--${kind}`
  const equals = text.indexOf('=')
  const mount = equals === -1 ? undefined : mountAt(kind, text.slice(equals + 1))
  if (mount === undefined) {
    const [what, ...examples] = mountExamples[kind]
    throw new ConfigError(
      { flag },
      `expected /prefix/=${what}, got ${text === '' ? 'nothing' : showValue(text)}`,
      `write for example ${examples.map(example => `${flag} ${example}`).join(' or ')}`,
    )
  }
  const path = text.slice(0, equals)
  const fault = faultOfRoutePath(path)
  if (fault !== undefined) throw new ConfigError({ flag }, fault.problem, fault.remedy)
  return { ...mount, path: withTrailingSlash(path) }
}

/** What answers, without its path. */
type Mounted = MountOverride extends infer Each
  ? Each extends MountOverride
    ? Omit<Each, 'path'>
    : never
  : never

function mountAt(kind: MountKind, text: string): Mounted | undefined {
  if (kind === 'wsgi') {
    return /^[\w.]+:[\w.]+$/.test(text) ? { kind, application: text } : undefined
  }
  const address = kind === 'proxy' ? parseHttpAddress(text) : parseAddress(text)
  return address === undefined ? undefined : { kind, address }
}

const mountExamples: Readonly<Record<MountKind, readonly [what: string, ...string[]]>> = {
  fastcgi: ['ADDRESS', '/app/=unix:/run/app.sock', '/app/=127.0.0.1:9000'],
  scgi: ['ADDRESS', '/app/=unix:/run/app.sock', '/app/=127.0.0.1:4000'],
  uwsgi: ['ADDRESS', '/app/=unix:/run/app.sock', '/app/=127.0.0.1:3031'],
  wsgi: ['module:callable', '/app/=app:application'],
  proxy: ['URL', '/app/=http://127.0.0.1:9000'],
}

function oneOf<const Value extends string>(
  known: readonly Value[],
): (text: string) => Value | undefined {
  return text => known.find(value => value === text)
}

type Present<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> }

/** Absent and undefined are two things for `exactOptionalPropertyTypes`. */
function withoutAbsent<T extends object>(values: T): Present<T> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined),
  ) as Present<T>
}
