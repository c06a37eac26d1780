/**
 * The shape of a fastcgi route: addresses or workers of our own, and what belongs to files behind it.
 *
 * The shape only; what needs two settings at once is in `config-fastcgi.ts` and `config-workers.ts`.
 */
import { z } from 'zod'
import {
  choice,
  duration,
  expected,
  fileNames,
  folder,
  fullList,
  map,
  parsed,
  size,
  switched,
  text,
  whole,
} from './config-fields.js'
import { backendAddresses, backendRoute } from './config-schema-route.js'
import { parseDuration } from './units.js'

/** A limit of time that cannot be left out. */
const someTime = parsed(
  value => (parseDuration(value) === 0 ? undefined : parseDuration(value)),
  'a duration above 0',
  '500ms, 30s, or 5m',
)

const mostWorkers = 1024

const workerCount = z.union(
  [
    whole(1, mostWorkers, 4),
    map(
      {
        min: whole(0, mostWorkers, 1).optional(),
        max: whole(1, mostWorkers, 8),
        spare: whole(0, mostWorkers, 1).optional(),
        idle: someTime.optional(),
      },
      '{ min: 1, max: 8, spare: 1, idle: 60s }',
    ),
  ],
  expected('a number of workers, or a map with min and max', '4'),
)

/** Workers of ours on any kind of route: how many, and when one is replaced. */
export const workerKeys = {
  workers: workerCount.optional(),
  recycle: map(
    {
      requests: whole(0, Number.MAX_SAFE_INTEGER, 10_000).optional(),
      age: duration.optional(),
      memory: size.optional(),
    },
    '{ requests: 10000 }',
  ).optional(),
  ready: someTime.optional(),
  stuck: map(
    {
      signal: choice([
        ...(['SIGUSR1', 'SIGUSR2', 'SIGQUIT', 'SIGABRT', 'SIGINT', 'SIGHUP', 'SIGTERM'] as const),
      ]),
      dump: duration.optional(),
    },
    '{ signal: SIGUSR1, dump: 500ms }',
  ).optional(),
}

const workers = map(
  {
    command: fullList(text('a word', './worker.fcgi'), 'a list of words', '[./worker.fcgi]'),
    directory: folder.optional(),
    ...workerKeys,
  },
  '{ command: [./worker.fcgi], workers: 4 }',
)

export const fastCgiRoute = map(
  {
    fastcgi: z.union(
      [...backendAddresses, workers],
      expected('an address, a list of them, or a command', 'unix:/run/app.sock'),
    ),
    ...backendRoute,
    root: folder.optional(),
    index: fileNames.optional(),
    split: z
      .string(expected('a suffix that begins with a dot', '.php'))
      .regex(/^\.[^/\0]+$/, expected('a suffix that begins with a dot', '.php'))
      .optional(),
    role: choice(['responder', 'filter']).optional(),
    abort: switched.optional(),
    localRedirects: switched.optional(),
    probe: switched.optional(),
    trace: switched.optional(),
  },
  '{ path: /app/, fastcgi: unix:/run/app.sock }',
)

export type RawFastCgiRoute = z.output<typeof fastCgiRoute>
export type RawWorkers = z.output<typeof workers>
