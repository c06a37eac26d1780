/**
 * The words after `postern fcgi`: yargs finds the flags, this file reads their values and refuses the rest.
 *
 * Every mistake is a ConfigError that names the flag and what to write. Flags end at `--` or at the first
 * word that is none: what follows is the command and its own flags.
 */
import { resolve } from 'node:path'
import yargs from 'yargs'
import { parseListen } from '../server/address.js'
import { ConfigError } from '../server/config-error.js'
import { parseDuration, parseSize } from '../server/units.js'
import type { Address } from '../upstream/address.js'
import { defaultWorkers, type WorkerCount, type WorkersConfig } from '../worker/options.js'
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

/** What `fcgi` was asked to do. */
export interface FcgiFlags {
  readonly address: Address
  /** As typed. */
  readonly command: readonly string[]
  readonly env: readonly (readonly [name: string, value: string])[]
  /** Everything that is not found out from the machine. */
  readonly workers: Omit<WorkersConfig, 'command' | 'env'>
}

const text = { type: 'string', requiresArg: true } as const

const options = {
  socket: { ...text, alias: 's', describe: 'Where to listen: unix:/path/to.sock, host:port, port' },
  workers: {
    ...text,
    alias: 'n',
    describe: 'Workers; the least number with --max',
    defaultDescription: '4',
  },
  max: { ...text, describe: 'Workers at most: more start when connections wait' },
  spare: { ...text, describe: 'Workers without work kept ready, with --max' },
  idle: {
    ...text,
    describe: 'A worker too many ends after this long, with --max',
    defaultDescription: '60s',
  },
  'recycle-age': { ...text, describe: 'Replace a worker after this long' },
  'recycle-memory': { ...text, describe: 'Replace a worker that takes this much memory' },
  grace: { ...text, describe: 'From TERM to KILL', defaultDescription: '3s' },
  env: { ...text, describe: 'NAME=value for the workers; may be repeated' },
  directory: { ...text, describe: 'Working directory of the workers' },
  watch: { type: 'boolean', describe: 'Replace the workers when files in it change' },
} as const

type Name = keyof typeof options

const mostWorkers = 1_024
const seeHelp = 'see postern fcgi --help'

/**
 * Reads the command line; undefined when help or the version was asked for and printed.
 * @throws ConfigError for a flag or value that is not understood
 */
export function readFcgiFlags(words: readonly string[], version: string): FcgiFlags | undefined {
  const values: Values<Name> = yargs([...words])
    .scriptName('postern fcgi')
    .locale('en')
    .usage(
      '$0 -s ADDRESS [flags] -- COMMAND...\n\nStarts FastCGI workers on one socket for any web server, and keeps them running.',
    )
    .options(options)
    .version(version)
    .alias('help', 'h')
    .example('$0 -n 4 -s unix:/run/app.sock -- ./app.fcgi', 'Four workers')
    .example('$0 -n 1 --max 8 -s 9000 -- php-cgi', 'One worker, up to eight')
    .epilogue(
      'TERM and INT end the workers in good order; HUP replaces them, as does postern reload.',
    )
    .exitProcess(false)
    .showHelpOnFail(false)
    .fail((message, error) => {
      throw error instanceof ConfigError ? error : mistake('fcgi', message, seeHelp)
    })
    .parserConfiguration({ ...plainParsing, 'halt-at-non-option': true })
    .parseSync()
  if (values.help === true || values.version === true) return undefined
  refuseUnknownFlag(values)
  const command = Array.isArray(values._) ? values._.map(String) : []
  if (command.length === 0) {
    throw mistake('fcgi', 'the command of the workers is missing', 'write it last: -- ./app.fcgi')
  }
  const directory = resolve(one(values, 'directory') ?? '.')
  return {
    address: readAddress(one(values, 'socket')),
    command,
    env: many(values, 'env').map(pair => readVariable(pair, '--env LANG=C.UTF-8')),
    workers: {
      ...defaultWorkers,
      directory,
      count: readCount(values),
      recycling: {
        requests: 0,
        ageMs: readDuration(values, 'recycle-age', 0, '1h'),
        memoryBytes: readMemory(values),
      },
      graceMs: readDuration(values, 'grace', defaultWorkers.graceMs, '10s'),
      watch: values.watch === true ? [directory] : [],
    },
  }
}

function readAddress(word: string | undefined): Address {
  const bare = word?.startsWith('tcp:') === true ? word.slice('tcp:'.length) : word
  const address = parseListen(bare)
  if (address?.kind === 'unix') return { kind: 'unix', path: resolve(address.path) }
  if (address !== undefined) return address
  const example = word?.includes('/') === true ? `-s unix:${word}` : '-s unix:/run/app.sock'
  throw unexpected('--socket', 'an address', word, example)
}

function readCount(values: Values<Name>): WorkerCount {
  const most = readNumber(values, 'max', 1)
  const least = readNumber(values, 'workers', most === undefined ? 1 : 0)
  for (const name of ['spare', 'idle'] as const) {
    if (most !== undefined || one(values, name) === undefined) continue
    throw mistake(`--${name}`, 'says nothing about a fixed number of workers', 'add --max 8')
  }
  const min = least ?? Math.min(defaultWorkers.count.min, most ?? Number.POSITIVE_INFINITY)
  if (most !== undefined && most < min) {
    throw mistake('--max', `${most} is less than the ${min} of --workers`, `write --max ${min}`)
  }
  return {
    min,
    max: most ?? min,
    spare: readNumber(values, 'spare', 0) ?? defaultWorkers.count.spare,
    idleMs: readDuration(values, 'idle', defaultWorkers.count.idleMs, '60s'),
  }
}

function readNumber(values: Values<Name>, name: Name, least: number): number | undefined {
  const what = `a number from ${least} to ${mostWorkers}`
  return read(values, name, wholeNumber(least, mostWorkers), what, `--${name} 4`)
}

function readDuration(values: Values<Name>, name: Name, absent: number, example: string): number {
  const word = one(values, name)
  const ms = word === undefined ? absent : parseDuration(word)
  if (ms !== undefined) return ms
  throw unexpected(`--${name}`, 'a duration', word, `--${name} ${example}`)
}

function readMemory(values: Values<Name>): number {
  const word = one(values, 'recycle-memory')
  const bytes = word === undefined ? 0 : parseSize(word)
  if (bytes !== undefined) return bytes
  throw unexpected('--recycle-memory', 'a size', word, '--recycle-memory 512MiB')
}

function refuseUnknownFlag(values: Values<Name>): void {
  const name = unknownName(values, options, ['version'])
  if (name === undefined) return
  if (name !== 'recycle-requests') throw unknownFlag(name, options, seeHelp)
  throw mistake(
    '--recycle-requests',
    'requests on a socket that web servers share are not seen here',
    "use --recycle-age or --recycle-memory, or the program's own limit (PHP_FCGI_MAX_REQUESTS)",
  )
}
