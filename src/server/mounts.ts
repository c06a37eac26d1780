/**
 * From the config to what answers: the only place that knows which kinds of routes there are.
 *
 * A new kind is a new case of the switch. What is made here lives until `close`.
 */
import { dirname } from 'node:path'
import { fromText } from '../byte-string.js'
import { CgiGateway } from '../cgi/gateway.js'
import type { Gateway } from '../gateway.js'
import type { Logger } from '../log.js'
import type { Spawner } from '../process/spawner.js'
import { createStaticFiles, type StaticFiles } from '../static/files.js'
import { serverSoftware } from '../version.js'
import type { Config, RouteConfig } from './config.js'

/** A gateway below a path prefix. */
export interface Mount {
  /** Begins and ends with `/`. */
  readonly path: string
  readonly gateway: Gateway
  readonly encodedSlash: 'reject' | 'decode' | 'keep'
}

export interface MountDependencies {
  readonly spawner: Spawner
  readonly log: Logger
  /** The server's own environment, for the allow-list of programs. */
  readonly environment: NodeJS.ProcessEnv
}

/** The gateways of a config, in its order. */
export function createMounts(config: Config, dependencies: MountDependencies): Mount[] {
  return config.routes.map(route => ({
    path: route.path,
    gateway: createGateway(route, config, dependencies),
    encodedSlash: route.encodedSlash,
  }))
}

function createGateway(
  route: RouteConfig,
  config: Config,
  dependencies: MountDependencies,
): Gateway {
  switch (route.kind) {
    case 'cgi':
      return new CgiGateway({
        route,
        documentRoot: fromText(
          config.root ?? (route.program ? dirname(route.target) : route.target),
        ),
        serverName: config.serverName,
        serverSoftware,
        clientBodyMs: config.timeouts.bodyMs,
        spawner: dependencies.spawner,
        log: dependencies.log,
        hostEnvironment: dependencies.environment,
      })
    default:
      return route.kind satisfies never
  }
}

/** Sends files that a gateway has allowed; knows no root. */
export function createSender(): Pick<StaticFiles, 'sendFile'> {
  return createStaticFiles({ root: '/', index: [], hiddenDirectories: [], hiddenFiles: [] })
}

/** The static files of a config, or undefined without a root; never a program's source. */
export function createFiles(config: Config): StaticFiles | undefined {
  if (config.root === undefined) return undefined
  return createStaticFiles({
    root: config.root,
    index: config.index,
    hiddenDirectories: config.routes.map(route => route.target),
    hiddenFiles: config.hidden,
  })
}
