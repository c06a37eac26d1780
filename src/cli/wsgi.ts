/**
 * The command `wsgi`: one Python application as a web server.
 *
 * Flags make a configuration of one route at `/`; everything else is `serve`.
 */
import { defaultConfig } from '../server/config.js'
import type { SettingPlace } from '../server/config-error.js'
import { wsgiRoute } from '../server/wsgi-route.js'
import { serveSettings } from './serve.js'
import { readWsgiFlags } from './wsgi-flags.js'

/**
 * Hosts the application until a signal comes.
 * @returns the exit code: 1 when it cannot be loaded, or the address cannot be had
 * @throws ConfigError for flags that cannot be followed
 */
export async function runWsgi(
  words: readonly string[],
  version: string,
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const flags = readWsgiFlags(words, version)
  if (flags === undefined) return 0
  const { host, port, dev, ...program } = flags
  const config = {
    ...defaultConfig,
    listen: [{ kind: 'tcp', host, port }],
    routes: [wsgiRoute({ ...program, path: '/' }, env)],
    dev,
  } as const
  const place: SettingPlace = { flag: '--port' }
  return serveSettings({ config, listenPlaces: [place], file: undefined }, version, env)
}
