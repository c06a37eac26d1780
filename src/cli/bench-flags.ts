/**
 * The words after `postern bench`: yargs finds the flags, this file reads their values and refuses the rest.
 *
 * Every mistake is a ConfigError that names the flag and what to write. The program is looked at here, so that a
 * wrong path is refused before anything is started.
 */
import { accessSync, constants, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import yargs from 'yargs'
import {
  type BenchOptions,
  benchBounds,
  defaultClients,
  defaultDurationMs,
  defaultRounds,
  warmUpFor,
} from '../bench/options.js'
import { modesOf, type Subject } from '../bench/subject.js'
import { ConfigError } from '../server/config-error.js'
import { parseDuration } from '../server/units.js'
import {
  plainParsing,
  read,
  unknownFlag,
  unknownName,
  type Values,
  wholeNumber,
} from './command-line.js'

/** What `bench` was asked to do. */
export interface BenchFlags {
  readonly options: BenchOptions
  readonly json: boolean
}

const text = { type: 'string' } as const

const flags = {
  duration: { ...text, describe: 'Length of a round', defaultDescription: '3s' },
  clients: { ...text, describe: 'Connections at once', defaultDescription: '16' },
  rounds: { ...text, describe: 'Rounds of each mode', defaultDescription: '3' },
  json: { type: 'boolean', describe: 'Machine-readable, with every round' },
} as const

type Name = keyof typeof flags

const seeHelp = 'see postern bench --help'

/** The example app: its answer to this request is the same in every mode. */
const example = {
  file: fileURLToPath(new URL('../../examples/app.mjs', import.meta.url)),
  target: '/hello?name=World',
}

/**
 * Reads the command line of `bench`; undefined when help was asked for and printed.
 * @throws ConfigError for a flag, value or program that is not understood
 */
export function readBenchFlags(words: readonly string[]): BenchFlags | undefined {
  const values: Values<Name> = yargs([...words])
    .scriptName('postern')
    .locale('en')
    .usage(
      '$0 bench [SCRIPT]\n\nMeasures what each way of serving a program costs: a CGI script as CGI, an app of ' +
        'postern/fastcgi also as persistent worker; without a script, the example app.',
    )
    .options(flags)
    .version(false)
    .alias('help', 'h')
    .exitProcess(false)
    .showHelpOnFail(false)
    .fail((message, error) => {
      throw error ?? new ConfigError({ flag: 'bench' }, message, seeHelp)
    })
    .parserConfiguration(plainParsing)
    .parseSync()
  if (values.help === true) return undefined
  const unknown = unknownName(values, flags, [])
  if (unknown !== undefined) throw unknownFlag(unknown, flags, seeHelp)
  const subject = readSubject(values)
  const durationMs =
    read(values, 'duration', duration, 'a time from 100ms to 5m', '--duration 3s') ??
    defaultDurationMs
  return {
    options: {
      subject,
      durationMs,
      warmUpMs: warmUpFor(durationMs),
      clients:
        read(
          values,
          'clients',
          wholeNumber(benchBounds.clients.least, benchBounds.clients.most),
          'a number from 1 to 1000',
          '--clients 16',
        ) ?? defaultClients,
      rounds:
        read(
          values,
          'rounds',
          wholeNumber(benchBounds.rounds.least, benchBounds.rounds.most),
          'a number from 1 to 100',
          '--rounds 3',
        ) ?? defaultRounds,
      workers: availableParallelism(),
    },
    json: values.json === true,
  }
}

function readSubject(values: Values<Name>): Subject {
  const [given, extra] = Array.isArray(values._) ? values._.map(String) : []
  if (extra !== undefined) throw new ConfigError({ flag: extra }, 'one script at a time', seeHelp)
  if (given === undefined) return { ...example, modes: modesOf(example.file) }
  const file = resolve(given)
  requireProgram(given, file)
  return { file, target: '', modes: modesOf(file) }
}

function requireProgram(given: string, file: string): void {
  const stat = statSync(file, { throwIfNoEntry: false })
  if (stat === undefined) {
    throw new ConfigError({ flag: given }, 'there is no such script', 'correct the path')
  }
  if (!stat.isFile()) {
    throw new ConfigError({ flag: given }, 'not a script', 'name a program, for example cgi-bin/x')
  }
  try {
    accessSync(file, constants.R_OK | constants.X_OK)
  } catch {
    throw new ConfigError({ flag: given }, 'not readable and executable', `chmod +rx ${given}`)
  }
}

function duration(value: string): number | undefined {
  const { least, most } = benchBounds.durationMs
  const ms = parseDuration(value)
  return ms !== undefined && ms >= least && ms <= most ? ms : undefined
}
