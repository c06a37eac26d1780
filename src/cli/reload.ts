/**
 * The command `reload`: tells the servers that were started in this folder to replace their workers.
 *
 * A SIGHUP and a line for each. Only processes that have left a pid file are signalled: HUP ends whoever
 * does not expect it.
 */
import yargs from 'yargs'
import { ConfigError, showValue } from '../server/config-error.js'
import { type FoundServer, findServers } from './pid-file.js'

const seeHelp = 'see postern reload --help'

/**
 * Signals and says whom.
 * @returns 0 when a server was told, 1 when there is none
 * @throws ConfigError for a mistake in the flags
 */
export async function runReload(
  words: readonly string[],
  version: string,
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const flags = readFlags(words, version)
  if (flags === undefined) return 0
  const say = (line: string): void => void process.stderr.write(`postern: ${line}\n`)
  let servers: FoundServer[]
  try {
    servers =
      flags.pid === undefined
        ? findServers(process.cwd(), env)
        : findServers(undefined, env).filter(({ pid }) => pid === flags.pid)
  } catch (error) {
    say(error instanceof Error ? error.message : String(error))
    return 1
  }
  if (servers.length === 0) {
    say(
      flags.pid === undefined
        ? `no server was started in ${process.cwd()}; go to its folder, or name it with --pid`
        : `process ${flags.pid} is no server that this user started with postern`,
    )
    return 1
  }
  let told = 0
  for (const server of servers) {
    if (tell(server)) {
      told++
      process.stdout.write(`process ${server.pid} replaces its workers\n`)
      continue
    }
    server.forget()
    say(`process ${server.pid} has ended without a word; its stale pid file is removed`)
  }
  return told > 0 ? 0 : 1
}

function tell({ pid, running }: FoundServer): boolean {
  if (!running) return false
  try {
    return process.kill(pid, 'SIGHUP')
  } catch {
    return false
  }
}

function readFlags(
  words: readonly string[],
  version: string,
): { readonly pid: number | undefined } | undefined {
  const values: Readonly<Record<string, unknown>> = yargs([...words])
    .scriptName('postern reload')
    .locale('en')
    .usage(
      '$0\n\nReplaces the workers of the servers that were started in this folder, without losing a request.',
    )
    .option('pid', {
      type: 'string',
      requiresArg: true,
      describe: 'The server with this process id, wherever it was started',
    })
    .version(version)
    .alias('help', 'h')
    .exitProcess(false)
    .showHelpOnFail(false)
    .fail((message, error) => {
      throw error instanceof ConfigError
        ? error
        : new ConfigError({ flag: 'reload' }, message, seeHelp)
    })
    .parserConfiguration({ 'parse-numbers': false, 'parse-positional-numbers': false })
    .parseSync()
  if (values.help === true || values.version === true) return undefined
  const [extra] = Array.isArray(values._) ? values._.map(String) : []
  if (extra !== undefined) throw new ConfigError({ flag: extra }, 'unexpected word', seeHelp)
  const unknown = Object.keys(values).find(
    name => !['pid', 'help', 'h', 'version', '_', '$0'].includes(name),
  )
  if (unknown !== undefined) {
    throw new ConfigError(
      { flag: `${unknown.length === 1 ? '-' : '--'}${unknown}` },
      'unknown flag',
      seeHelp,
    )
  }
  if (values.pid === undefined) return { pid: undefined }
  const pid = /^[1-9]\d{0,9}$/.test(String(values.pid)) ? Number(values.pid) : undefined
  if (pid !== undefined) return { pid }
  throw new ConfigError(
    { flag: '--pid' },
    `expected a process id, got ${showValue(values.pid)}`,
    'write for example --pid 4711',
  )
}
