/**
 * A folder with what a configuration may name, and the two things that its tests do with a text.
 */
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { CgiRouteConfig, Config, FastCgiRoute } from '../../src/server/config.js'
import type { ConfigFormat } from '../../src/server/config-document.js'
import { ConfigError } from '../../src/server/config-error.js'
import { parseConfigText } from '../../src/server/config-file.js'

export interface ConfigFolder {
  readonly path: string
  parse(text: string, format?: ConfigFormat): Config
  /** The first route of a text, a cgi route. */
  route(text: string): CgiRouteConfig
  /** The first route of a text, a fastcgi route. */
  fastCgiRoute(text: string): FastCgiRoute
  /** The message for a text that must be refused, with the folder's path as `DIR`. */
  refusal(text: string, format?: ConfigFormat): string
}

/**
 * `public/`, `cgi-bin/`, `files/`, the program `tool` (0755), the files `notes.txt` (0644) and
 * `script.py` (0644), and `bin/` as the search path with the program `python-of-test` in it.
 */
export function configFolder(t: Test): ConfigFolder {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'postern-config-')))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  for (const name of ['public', 'cgi-bin', 'files', 'bin']) mkdirSync(join(path, name))
  for (const name of ['notes.txt', 'script.py']) writeFileSync(join(path, name), '')
  for (const name of ['tool', 'bin/python-of-test']) {
    writeFileSync(join(path, name), '#!/bin/sh\n')
    chmodSync(join(path, name), 0o755)
  }
  const parse = (text: string, format: ConfigFormat = 'yaml'): Config =>
    parseConfigText(text, {
      file: 'postern.yaml',
      directory: path,
      format,
      environment: { PATH: join(path, 'bin') },
    })
  return {
    path,
    parse,
    route: text => {
      const [route] = parse(text).routes
      if (route?.kind !== 'cgi') throw new Error('the text has no cgi route')
      return route
    },
    fastCgiRoute: text => {
      const [route] = parse(text).routes
      if (route?.kind !== 'fastcgi') throw new Error('the text has no fastcgi route')
      return route
    },
    refusal: (text, format) => {
      try {
        parse(text, format)
      } catch (error) {
        if (error instanceof ConfigError) return error.message.replaceAll(path, 'DIR')
        throw error
      }
      throw new Error(`was not refused: ${text}`)
    },
  }
}
