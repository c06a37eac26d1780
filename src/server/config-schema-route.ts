/**
 * The shape of what routes have in common: variables, limits, times, and the keys of every kind.
 *
 * The kinds themselves are in `config-schema.ts` and, where one has more of its own than fits there, in a
 * file of its name. The shape only, as everywhere in the schema.
 */
import { z } from 'zod'
import {
  backendAddress,
  choice,
  count,
  duration,
  expected,
  folder,
  fullList,
  list,
  map,
  positiveSize,
  size,
  switched,
  variableName,
  whole,
} from './config-fields.js'

export const env = map(
  {
    set: z
      .record(
        z.string(),
        z.union([z.string(), z.number(), z.boolean()], expected('text', '"a value"')),
        expected('a map of names and values', '{ LANG: C.UTF-8 }'),
      )
      .optional(),
    pass: list(variableName, 'a list of variable names', '[TZ]').optional(),
  },
  '{ set: { LANG: C.UTF-8 }, pass: [TZ] }',
)

export const routeLimitKeys = {
  body: size.optional(),
  responseHead: positiveSize.optional(),
  responseHeaders: count.optional(),
  stderr: size.optional(),
  spoolMemory: size.optional(),
}
const routeLimits = map(routeLimitKeys, '{ body: 100MiB }')

const programTimeoutKeys = {
  firstByte: duration.optional(),
  idle: duration.optional(),
  total: duration.optional(),
  grace: duration.optional(),
}
export const programTimeouts = map(programTimeoutKeys, '{ firstByte: 60s }')
export const backendTimeouts = map(
  { connect: duration.optional(), ...programTimeoutKeys },
  '{ connect: 5s }',
)

/** What every kind of route understands. */
export const anyRoute = {
  path: z
    .string(expected('a path that begins with /', '/cgi-bin/'))
    .startsWith('/', expected('a path that begins with /', '/cgi-bin/')),
  env: env.optional(),
  passAuthorization: switched.optional(),
  queue: map(
    {
      length: whole(0, Number.MAX_SAFE_INTEGER, 256).optional(),
      wait: duration.optional(),
    },
    '{ length: 256, wait: 10s }',
  ).optional(),
  limits: routeLimits.optional(),
  requestBody: choice(['spool', 'stream']).optional(),
  encodedSlash: choice(['reject', 'decode', 'keep']).optional(),
  ambiguousHeaders: choice(['drop', 'reject', 'allow']).optional(),
  decodeChunked: switched.optional(),
  methods: fullList(
    z
      .string(expected('a method', 'GET'))
      .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, expected('a method', 'GET')),
    'a list of methods',
    '[GET, HEAD, POST]',
  ).optional(),
  sendfile: list(folder, 'a list of folders', '[files/]').optional(),
  authorize: backendAddress.optional(),
}

/** What routes with a gateway behind an address add. */
export const backendRoute = {
  ...anyRoute,
  timeouts: backendTimeouts.optional(),
  capacity: whole(1, Number.MAX_SAFE_INTEGER, 8).optional(),
}

/** Programs that run already: one address or several. */
export const backendAddresses = [
  backendAddress,
  fullList(backendAddress, 'an address or a list of them', 'unix:/run/app.sock'),
] as const

/** What routes of every kind have after the check. */
export type RawAnyRoute = z.output<z.ZodObject<typeof anyRoute>>
export type RawEnv = z.output<typeof env>
export type RawRouteLimits = z.output<typeof routeLimits>
export type RawProgramTimeouts = z.output<typeof programTimeouts>
export type RawBackendTimeouts = z.output<typeof backendTimeouts>
