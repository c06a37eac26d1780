import fc from 'fast-check'
import t from 'tap'
import {
  type CgiRouteConfig,
  type Config,
  defaultCgiRoute,
  defaultConfig,
  defaultFastCgiRoute,
  defaultWorkers,
  type FastCgiRoute,
} from '../../src/server/config.js'
import { divideConfig } from '../../src/server/divide.js'

function withRoute(processes: number, length: number): Config {
  const place = { path: '/', target: '/srv', program: false }
  const route: CgiRouteConfig = {
    ...defaultCgiRoute,
    ...place,
    processes,
    queue: { length, waitMs: 5 },
  }
  return { ...defaultConfig, processes: 3, routes: [route] }
}

function parts(config: Config, count: number) {
  return Array.from({ length: count }, (_, index) => divideConfig(config, count, index))
}

/** Programs at once of the one cgi route. */
function places({ routes: [route] }: Config): number {
  return route?.kind === 'cgi' ? route.processes : 0
}

t.test('7 places and 10 waiting among 3', async t => {
  const divided = parts(withRoute(7, 10), 3)
  t.same(divided.map(places), [3, 2, 2])
  t.same(
    divided.map(({ routes }) => routes[0]?.queue),
    [
      { length: 4, waitMs: 5 },
      { length: 3, waitMs: 5 },
      { length: 3, waitMs: 5 },
    ],
  )
  t.ok(divided.every(({ processes }) => processes === 1))
})

t.test('each gets at least one place; no queue stays no queue', async t => {
  t.same(
    parts(withRoute(1, 0), 3).map(part => [places(part), part.routes[0]?.queue.length]),
    [
      [1, 0],
      [1, 0],
      [1, 0],
    ],
  )
})

t.test('the sum is the total, and no part is more than one larger than another', async () => {
  const total = fc.integer({ min: 1, max: 5000 })
  fc.assert(
    fc.property(total, fc.integer({ min: 1, max: 256 }), (processes, count) => {
      const shares = parts(withRoute(processes, processes), count).map(places)
      const sum = shares.reduce((a, b) => a + b, 0)
      return sum === Math.max(processes, count) && Math.max(...shares) - Math.min(...shares) <= 1
    }),
  )
})

/** The one fastcgi route of each of `count` parts. */
function fastCgiParts(changes: Partial<FastCgiRoute>, count: number): FastCgiRoute[] {
  const backend = { kind: 'addresses', addresses: [{ kind: 'unix', path: '/s' }] } as const
  const route: FastCgiRoute = { ...defaultFastCgiRoute, path: '/', backend, ...changes }
  return parts({ ...defaultConfig, routes: [route] }, count).map(({ routes: [part] }) => {
    if (part?.kind !== 'fastcgi') throw new Error('no fastcgi route')
    return part
  })
}

t.test('requests at once at an address are shared by the processes', async t => {
  const capacities = (changes: Partial<FastCgiRoute>): unknown[] =>
    fastCgiParts(changes, 3).map(({ capacity }) => capacity)
  t.same(capacities({ capacity: 7 }), [3, 2, 2])
  t.same(capacities({ capacity: 1 }), [1, 1, 1], 'at least one each')
  t.same(capacities({}), [3, 3, 2], 'and so is the default, 8')
  t.same(
    capacities({ probe: true }),
    [undefined, undefined, undefined],
    'not what a probe will say',
  )
  t.same(
    fastCgiParts({ queue: { length: 4, waitMs: 1 } }, 3).map(({ queue }) => queue.length),
    [2, 1, 1],
  )
})

t.test('workers belong to one process each, with their whole capacity', async t => {
  const withCount = (min: number, max: number, spare: number) => {
    const count = { min, max, spare, idleMs: 9 }
    const workers = { ...defaultWorkers, command: ['/w'], directory: '/', env: [], count }
    return fastCgiParts({ capacity: 5, backend: { kind: 'workers', workers } }, 3).map(
      ({ capacity, backend }) => [
        capacity,
        backend.kind === 'workers' ? backend.workers.count : backend,
      ],
    )
  }
  t.same(withCount(4, 8, 4), [
    [5, { min: 2, max: 3, spare: 2, idleMs: 9 }],
    [5, { min: 1, max: 3, spare: 1, idleMs: 9 }],
    [5, { min: 1, max: 2, spare: 1, idleMs: 9 }],
  ])
  t.same(
    withCount(0, 1, 0).map(([, count]) => count),
    Array.from({ length: 3 }, () => ({ min: 0, max: 1, spare: 0, idleMs: 9 })),
    'on demand stays on demand',
  )
})
