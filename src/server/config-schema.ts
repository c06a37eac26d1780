/**
 * The shape of `postern.yaml`: every key and its type.
 *
 * The shape only: what needs the file system or two settings at once is in `config-routes.ts` and beside
 * it. A key joins when something uses it. Loaded only when there is a file to check, since zod takes
 * longer to load than a server to start.
 */
import { z } from 'zod'
import {
  choice,
  count,
  duration,
  expected,
  fileNames,
  folder,
  fullList,
  httpAddress,
  list,
  listenAddress,
  map,
  positiveSize,
  switched,
  text,
  whole,
} from './config-fields.js'
import { fastCgiRoute, workerKeys } from './config-schema-fastcgi.js'
import {
  anyRoute,
  backendAddresses,
  backendRoute,
  backendTimeouts,
  env,
  programTimeouts,
  routeLimitKeys,
} from './config-schema-route.js'

/** The whole file, except that each route is only known to be a map; `routeSchemas` has the rest. */
export const configSchema = map(
  {
    listen: z
      .union(
        [listenAddress, fullList(listenAddress, 'an address or a list of them', '127.0.0.1:8000')],
        expected('an address or a list of them', '127.0.0.1:8000'),
      )
      .optional(),
    root: folder.optional(),
    index: fileNames.optional(),
    serverName: text('a host name', 'example.test').optional(),
    processes: whole(1, 256, 2).optional(),
    log: map(
      {
        access: choice(['combined', 'json', 'off']).optional(),
        level: choice(['info', 'debug', 'warn', 'error', 'silent']).optional(),
      },
      '{ access: combined, level: info }',
    ).optional(),
    env: env.optional(),
    limits: map(
      {
        requestLine: positiveSize.optional(),
        head: positiveSize.optional(),
        headers: count.optional(),
        ...routeLimitKeys,
      },
      '{ body: 1GiB }',
    ).optional(),
    timeouts: map(
      {
        head: duration.optional(),
        body: duration.optional(),
        keepAlive: duration.optional(),
        drain: duration.optional(),
      },
      '{ body: 30s }',
    ).optional(),
    routes: list(
      z.looseObject({}, expected('a map', '{ path: /cgi-bin/, cgi: cgi-bin/ }')),
      'a list of routes',
      '[{ path: /cgi-bin/, cgi: cgi-bin/ }]',
    ).optional(),
    dev: switched.optional(),
  },
  'listen: 127.0.0.1:8000',
)

const addresses = z.union(
  backendAddresses,
  expected('an address or a list of them', 'unix:/run/app.sock'),
)

/** A shape per kind of route; the kind is the key that says what answers. */
export const routeSchemas = {
  cgi: map(
    {
      cgi: text('a directory of scripts or a program', 'cgi-bin/'),
      ...anyRoute,
      interpreters: z
        .record(
          z.string(),
          text('a program', 'python3'),
          expected('a map of suffixes and programs', '{ .py: python3 }'),
        )
        .optional(),
      warm: switched.optional(),
      index: fileNames.optional(),
      preset: choice(['git']).optional(),
      processes: whole(1, Number.MAX_SAFE_INTEGER, 64).optional(),
      timeouts: programTimeouts.optional(),
      symlinks: choice(['inside', 'follow', 'refuse']).optional(),
      plainOutput: switched.optional(),
      cwd: folder.optional(),
    },
    '{ path: /cgi-bin/, cgi: cgi-bin/ }',
  ),
  fastcgi: fastCgiRoute,
  scgi: map(
    { scgi: addresses, ...backendRoute, localRedirects: switched.optional() },
    '{ path: /s/, scgi: 127.0.0.1:4000 }',
  ),
  uwsgi: map(
    {
      uwsgi: addresses,
      ...backendRoute,
      localRedirects: switched.optional(),
      modifier1: whole(0, 255, 0).optional(),
    },
    '{ path: /u/, uwsgi: unix:/run/uwsgi.sock }',
  ),
  wsgi: map(
    {
      wsgi: z
        .string(expected('module:callable', 'app:application'))
        .regex(/^[\w.]+:[\w.]+$/, expected('module:callable', 'app:application')),
      ...anyRoute,
      timeouts: backendTimeouts.optional(),
      directory: folder.optional(),
      python: text('a program', 'python3').optional(),
      mode: choice(['workers', 'cgi', 'warm']).optional(),
      threads: whole(1, 1024, 4).optional(),
      ...workerKeys,
    },
    '{ path: /py/, wsgi: "app:application" }',
  ),
  proxy: map(
    {
      proxy: z.union(
        [
          httpAddress,
          fullList(httpAddress, 'an http URL or a list of them', 'http://127.0.0.1:9000'),
        ],
        expected('an http URL or a list of them', 'http://127.0.0.1:9000'),
      ),
      ...backendRoute,
      stripPrefix: switched.optional(),
      host: choice(['preserve', 'upstream']).optional(),
      trusted: list(
        text('an address', '10.0.0.0/8'),
        'a list of addresses',
        '[127.0.0.1]',
      ).optional(),
      forwarded: switched.optional(),
    },
    '{ path: /api/, proxy: http://127.0.0.1:9000 }',
  ),
} as const

export type RouteKind = keyof typeof routeSchemas

export const routeKinds = Object.keys(routeSchemas) as readonly RouteKind[]

/** Every key that some kind of route has. */
export const routeKeys: readonly string[] = [
  ...new Set(Object.values(routeSchemas).flatMap(schema => Object.keys(schema.shape))),
]

export type RawConfig = z.output<typeof configSchema>
export type RawCgiRoute = z.output<typeof routeSchemas.cgi>
export type RawScgiRoute = z.output<typeof routeSchemas.scgi>
export type RawUwsgiRoute = z.output<typeof routeSchemas.uwsgi>
export type RawWsgiRoute = z.output<typeof routeSchemas.wsgi>
export type RawProxyRoute = z.output<typeof routeSchemas.proxy>
