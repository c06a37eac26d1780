// Passive ejection, back-off and the half-open retry, on a clock of our own (conventions, "Which 5xx").

import t from 'tap'
import {
  type Lease,
  type Outcome,
  type Upstream,
  Upstreams,
  type UpstreamsOptions,
} from '../../src/upstream/upstreams.js'
import { enterUpstreams } from '../support/enter.js'
import { within } from '../support/wait-for.js'

function make(capacities: readonly number[], options: Partial<UpstreamsOptions> = {}) {
  const clock = { now: 1_000_000 }
  const health: string[] = []
  const upstreams = new Upstreams({
    queue: { length: 10, waitMs: 0 },
    now: () => clock.now,
    onHealth: ({ name }, state, forMs) => health.push(`${name} ${state} ${forMs}`),
    ...options,
  })
  const added = capacities.map((capacity, index) =>
    upstreams.add({ address: { kind: 'unix', path: `/${index}` }, name: `${index}`, capacity }),
  )
  return { upstreams, clock, health, added }
}

const signal = (): AbortSignal => new AbortController().signal

const enter = (upstreams: Upstreams, tried?: ReadonlySet<Upstream>): Lease => {
  const entered = enterUpstreams(upstreams, signal(), tried)
  if (entered instanceof Promise) throw new Error('it waits')
  return entered
}

/** One request for the program of that name, the others being tried. */
const request = (upstreams: Upstreams, name: string, outcome: Outcome): void => {
  const others = new Set(upstreams.members.filter(each => each.name !== name))
  enter(upstreams, others).release(outcome)
}

t.test('a failure leaves a program out for a second; then one request tries it', t => {
  const { upstreams, clock, health, added } = make([2, 2])
  request(upstreams, '0', 'failed')
  t.strictSame(health, ['0 ejected 1000'])
  const others = [enter(upstreams), enter(upstreams)]
  t.ok(others.every(lease => lease.upstream.name === '1'))
  t.equal(upstreams.hasOther(new Set([added[1] as Upstream])), false)

  clock.now += 999
  t.equal(upstreams.hasOther(new Set([added[1] as Upstream])), false)
  clock.now += 1
  t.equal(upstreams.hasOther(new Set([added[1] as Upstream])), true)
  const probe = enter(upstreams)
  t.equal(probe.upstream.name, '0')
  t.ok(
    enterUpstreams(upstreams, signal()) instanceof Promise,
    'exactly one, though its capacity is two',
  )

  probe.release('answered')
  t.strictSame(health, ['0 ejected 1000', '0 back 0'])
  t.equal(enter(upstreams).upstream.name, '0', 'all of its capacity is back')
  t.end()
})

t.test('each failure in a row doubles the time, up to 30 s; an answer forgets them', t => {
  const { upstreams, clock, health } = make([1, 1])
  const times = [1, 2, 4, 8, 16, 30, 30].map(seconds => seconds * 1000)
  for (const forMs of times) {
    request(upstreams, '0', 'stuck')
    t.equal(health.pop(), `0 ejected ${forMs}`)
    clock.now += forMs
  }
  request(upstreams, '0', 'answered')
  t.equal(health.pop(), '0 back 0')
  request(upstreams, '0', 'failed')
  t.equal(health.pop(), '0 ejected 1000')
  t.end()
})

t.test('G-11: one that is overloaded rests for a second, which does not double', t => {
  const { upstreams, clock, health } = make([1, 1])
  for (let times = 0; times < 3; times++) {
    request(upstreams, '0', 'overloaded')
    t.equal(health.pop(), '0 ejected 1000')
    clock.now += 1000
  }
  request(upstreams, '0', 'failed')
  t.equal(health.pop(), '0 ejected 1000', 'nor does it count as a failure')
  t.end()
})

t.test(
  'requests that break together are one failure; what was sent before says nothing after',
  t => {
    const { upstreams, clock, health } = make([3, 1])
    const others = new Set([upstreams.members[1] as Upstream])
    const together = [1, 2, 3].map(() => enter(upstreams, others))
    together[0]?.release('failed')
    together[1]?.release('failed')
    t.strictSame(health, ['0 ejected 1000'])
    clock.now += 1000
    const probe = enter(upstreams, others)
    together[2]?.release('answered')
    t.strictSame(health, ['0 ejected 1000'], 'an answer to an old request does not bring it back')
    probe.release('failed')
    t.equal(health.pop(), '0 ejected 2000')
    t.end()
  },
)

t.test('the only program is never left out: each request is tried and fails by itself', async t => {
  const { upstreams, health, added } = make([1])
  for (const outcome of ['failed', 'overloaded', 'stuck', 'failed'] as const) {
    request(upstreams, '0', outcome)
  }
  t.strictSame(health, [])

  upstreams.add({ address: { kind: 'unix', path: '/1' }, name: '1', capacity: 1 })
  request(upstreams, '1', 'failed')
  await within('removal', upstreams.remove(added[0] as Upstream))
  t.strictSame(health, ['1 ejected 1000', '1 back 0'], 'nor one that becomes the only one')
  t.equal(enter(upstreams).upstream.name, '1')
})

t.test('all left out: who comes and who waits is refused with UPSTREAMS_EJECTED', async t => {
  const { upstreams, clock } = make([1, 1])
  request(upstreams, '0', 'failed')
  const held = enter(upstreams)
  const waiting = enterUpstreams(upstreams, signal())
  held.release('failed')
  await t.rejects(Promise.resolve(waiting), { code: 'UPSTREAMS_EJECTED', status: 503 })
  t.throws(() => enterUpstreams(upstreams, signal()), { code: 'UPSTREAMS_EJECTED' })
  clock.now += 1000
  const probe = enter(upstreams)
  t.equal(upstreams.waiting, 0)
  probe.release('answered')
  t.not(enter(upstreams).upstream, probe.upstream, 'the other one is tried as well')
})

t.test('all left out, supplied: who waits gets the first that may be tried again', async t => {
  const { upstreams, clock } = make([1, 1], { supplied: true })
  request(upstreams, '0', 'failed')
  clock.now += 500
  request(upstreams, '1', 'failed')
  const [first, second] = [enterUpstreams(upstreams, signal()), enterUpstreams(upstreams, signal())]
  t.equal(upstreams.waiting, 2)
  clock.now += 500
  const probe = await within('the alarm', Promise.resolve(first))
  t.equal(probe.upstream.name, '0')
  t.equal(upstreams.waiting, 1)
  probe.release('failed')
  clock.now += 500
  t.equal((await within('the alarm', Promise.resolve(second))).upstream.name, '1')
})

t.test(
  'a program that was removed while it was left out, or with a request, is forgotten',
  async t => {
    const { upstreams, health, added } = make([1, 1, 1])
    request(upstreams, '0', 'failed')
    void upstreams.remove(added[0] as Upstream)
    const lease = enter(upstreams)
    const removal = upstreams.remove(lease.upstream)
    lease.release('failed')
    await within('removal', removal)
    t.strictSame(health, ['0 ejected 1000'])
    t.equal(upstreams.members.length, 1)
  },
)
