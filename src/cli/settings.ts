/**
 * Flags and the folder they name → the Config to serve, and where each address was written.
 *
 * The configuration file is found here; reading it is imported only then, since yaml and zod cost more
 * time than the rest of the start.
 */
import { existsSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import type { Config } from '../server/config.js'
import { ConfigError, type SettingPlace } from '../server/config-error.js'
import {
  applyOverrides,
  type ConfigOverrides,
  configForFolder,
  staticRootOf,
} from '../server/config-folder.js'
import type { ServeFlags } from './flags.js'

/** What to serve and whom to blame for an address. */
export interface Settings {
  readonly config: Config
  /** One for each of `config.listen`. */
  readonly listenPlaces: readonly SettingPlace[]
  /** The configuration file as messages call it, or undefined. */
  readonly file: string | undefined
}

const fileNames = ['postern.yaml', 'postern.yml', 'postern.json']

/**
 * What these flags ask for.
 * @throws ConfigError
 */
export async function resolveSettings(
  flags: ServeFlags,
  env: NodeJS.ProcessEnv,
): Promise<Settings> {
  const { overrides } = flags
  const directory = flags.directory ?? '.'
  const file = flags.config ?? findFile(directory)
  if (file === undefined) {
    const config = configForFolder(directory, overrides, env)
    return { config, listenPlaces: listenPlaces(config, overrides, []), file }
  }
  const { readConfigFile } = await import('../server/config-file.js')
  const read = readConfigFile(file, env)
  const config = applyOverrides(read.config, { ...rootOfFolder(flags), ...overrides }, env)
  if (config.root === undefined && config.routes.length === 0) {
    throw new ConfigError(
      { file },
      'the configuration has neither root nor routes, so there is nothing to serve',
      'add for example root: public',
    )
  }
  return { config, listenPlaces: listenPlaces(config, overrides, read.listenPlaces), file }
}

/** The configuration in the folder, as seen from here. */
function findFile(directory: string): string | undefined {
  const found = fileNames.map(name => join(directory, name)).filter(path => existsSync(path))
  const [file, second] = found
  if (second === undefined) return file
  throw new ConfigError(
    { flag: relative('', resolve(directory)) || '.' },
    `both ${file} and ${second} are here`,
    `remove one of them, or name one with -c`,
  )
}

/** With `-c`, a folder on the command line is the folder of static files. */
function rootOfFolder({ directory, config }: ServeFlags): ConfigOverrides {
  if (directory === undefined || config === undefined) return {}
  return { root: staticRootOf(directory) }
}

function listenPlaces(
  { listen }: Config,
  { host, port }: ConfigOverrides,
  written: readonly SettingPlace[],
): readonly SettingPlace[] {
  if (port !== undefined) return [{ flag: '--port' }]
  if (host !== undefined) return [{ flag: '--host' }]
  return listen.map((_, index) => written[index] ?? { builtIn: true })
}
