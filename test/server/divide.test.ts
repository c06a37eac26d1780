import fc from 'fast-check'
import t from 'tap'
import { type Config, defaultCgiRoute, defaultConfig } from '../../src/server/config.js'
import { divideConfig } from '../../src/server/divide.js'

function withRoute(processes: number, length: number): Config {
  const place = { path: '/', target: '/srv', program: false }
  const route = { ...defaultCgiRoute, ...place, processes, queue: { length, waitMs: 5 } }
  return { ...defaultConfig, processes: 3, routes: [route] }
}

function parts(config: Config, count: number) {
  return Array.from({ length: count }, (_, index) => divideConfig(config, count, index))
}

t.test('7 places and 10 waiting among 3', async t => {
  const divided = parts(withRoute(7, 10), 3)
  t.same(
    divided.map(({ routes }) => routes[0]?.processes),
    [3, 2, 2],
  )
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
    parts(withRoute(1, 0), 3).map(({ routes }) => [routes[0]?.processes, routes[0]?.queue.length]),
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
      const shares = parts(withRoute(processes, processes), count).map(
        ({ routes }) => routes[0]?.processes ?? 0,
      )
      const sum = shares.reduce((a, b) => a + b, 0)
      return sum === Math.max(processes, count) && Math.max(...shares) - Math.min(...shares) <= 1
    }),
  )
})
