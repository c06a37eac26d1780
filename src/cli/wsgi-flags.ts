/**
 * The words after `postern wsgi`: yargs finds the flags, this file reads their values and refuses the rest.
 *
 * Every mistake is a ConfigError that names the flag and what to write.
 */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import yargs from 'yargs'
import { parseHost } from '../server/address.js'
import { ConfigError, showValue } from '../server/config-error.js'
import { isApplication, type WsgiProgram } from '../server/wsgi-route.js'
import {
  mistake,
  one,
  plainParsing,
  read,
  unknownFlag,
  unknownName,
  type Values,
  wholeNumber,
} from './command-line.js'

/** What `wsgi` was asked to do. */
export interface WsgiFlags extends Omit<WsgiProgram, 'path'> {
  readonly host: string
  readonly port: number
  readonly dev: boolean
}

const text = { type: 'string', requiresArg: true } as const

const options = {
  workers: { ...text, alias: 'n', describe: 'Worker processes', defaultDescription: '2' },
  threads: { ...text, describe: 'Requests at once in each worker', defaultDescription: '1' },
  port: { ...text, alias: 'p', describe: 'Port; 0 picks a free one', defaultDescription: '8000' },
  host: { ...text, alias: 'H', describe: 'Address', defaultDescription: '127.0.0.1' },
  directory: { ...text, describe: 'Where the module is, and where it runs' },
  python: { ...text, describe: 'Interpreter, or a virtual environment' },
  dev: { type: 'boolean', describe: 'Reload when files change; show the cause of failures' },
} as const

type Name = keyof typeof options

const most = 1024
const seeHelp = 'see postern wsgi --help'

/**
 * Reads the command line; undefined when help or the version was asked for and printed.
 * @throws ConfigError for a flag or value that is not understood
 */
export function readWsgiFlags(words: readonly string[], version: string): WsgiFlags | undefined {
  const values: Values<Name> = yargs([...words])
    .scriptName('postern wsgi')
    .locale('en')
    .usage('$0 module:callable [flags]\n\nServes a WSGI application (PEP 3333) at /.')
    .options(options)
    .version(version)
    .alias('help', 'h')
    .example('$0 app:application -n 4', 'application in app.py, four workers')
    .example('$0 app:app --python ./venv --dev', 'with the packages of a virtual environment')
    .epilogue('Settings for more than that: a wsgi route in postern.yaml.')
    .exitProcess(false)
    .showHelpOnFail(false)
    .fail((message, error) => {
      throw error instanceof ConfigError ? error : mistake('wsgi', message, seeHelp)
    })
    .parserConfiguration(plainParsing)
    .parseSync()
  if (values.help === true || values.version === true) return undefined
  const unknown = unknownName(values, options, ['version'])
  if (unknown !== undefined) throw unknownFlag(unknown, options, seeHelp)
  return {
    application: readApplication(Array.isArray(values._) ? values._.map(String) : []),
    directory: readDirectory(one(values, 'directory') ?? '.'),
    python: one(values, 'python'),
    workers: readNumber(values, 'workers', '-n 4'),
    threads: readNumber(values, 'threads', '--threads 4'),
    host: read(values, 'host', parseHost, 'a name or address', '--host 0.0.0.0') ?? '127.0.0.1',
    port: read(values, 'port', wholeNumber(0, 65_535), 'a port from 0 to 65535', '-p 8001') ?? 8000,
    dev: values.dev === true,
  }
}

function readApplication([word, ...further]: readonly string[]): string {
  const example = 'write module:callable, for example app:application'
  if (word === undefined) throw mistake('wsgi', 'the application is missing', example)
  if (further[0] !== undefined) throw mistake(further[0], 'one application at a time', seeHelp)
  if (isApplication(word)) return word
  throw mistake('wsgi', `expected module:callable, got ${showValue(word)}`, example)
}

function readDirectory(given: string): string {
  const directory = resolve(given)
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true) return directory
  throw mistake('--directory', `there is no folder ${given}`, 'create it, or correct the path')
}

function readNumber(
  values: Values<Name>,
  name: 'workers' | 'threads',
  example: string,
): number | undefined {
  return read(values, name, wholeNumber(1, most), `a number from 1 to ${most}`, example)
}
