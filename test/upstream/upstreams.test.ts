// The queue of a route: who gets a place where, who waits, who is refused (design §4, conventions G-20).

import fc from 'fast-check'
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

const queue = { length: 100, waitMs: 0 }

function make(capacities: readonly number[], options: Partial<UpstreamsOptions> = {}) {
  const upstreams = new Upstreams({ queue, ...options })
  const added = capacities.map((capacity, index) =>
    upstreams.add({ address: { kind: 'unix', path: `/${index}` }, capacity }),
  )
  return { upstreams, added }
}

/** A signal of its own for each request, as in the server. */
const never = (): AbortSignal => new AbortController().signal

const now = (entered: Lease | Promise<Lease>): Lease => {
  if (entered instanceof Promise) throw new Error('it waits')
  return entered
}

const later = (entered: Lease | Promise<Lease>): Promise<Lease> => {
  if (entered instanceof Promise) return within('a place', entered)
  throw new Error('it did not wait')
}

t.test(
  'least busy first, for its capacity; equals take turns; no promise while there is room',
  t => {
    const { upstreams } = make([4, 2])
    const names = Array.from(
      { length: 6 },
      () => now(enterUpstreams(upstreams, never())).upstream.name,
    )
    t.strictSame(names, ['unix:/0', 'unix:/1', 'unix:/0', 'unix:/1', 'unix:/0', 'unix:/0'])
    t.equal(upstreams.active, 6)

    const idle = make([1, 1, 1]).upstreams
    const turns = Array.from({ length: 5 }, () => {
      const lease = now(enterUpstreams(idle, never()))
      lease.release('answered')
      return lease.upstream.name
    })
    t.strictSame(turns, ['unix:/0', 'unix:/1', 'unix:/2', 'unix:/0', 'unix:/1'])
    t.end()
  },
)

t.test(
  'G-20: never more than the capacity; the rest are served in the order of asking',
  async t => {
    const waitings: number[] = []
    const { upstreams, added } = make([1, 2], { onWaiting: waiting => waitings.push(waiting) })
    const held = [1, 2, 3].map(() => now(enterUpstreams(upstreams, never())))
    const order: number[] = []
    const waiting = [1, 2, 3, 4, 5].map(async n => {
      const lease = await later(enterUpstreams(upstreams, never()))
      order.push(n)
      t.ok(added.every(({ active, capacity }) => active <= capacity))
      lease.release('answered')
    })
    t.strictSame(waitings, [1, 2, 3, 4, 5])
    t.equal(upstreams.waiting, 5)
    for (const lease of held) lease.release('answered')
    await Promise.all(waiting)
    t.strictSame(order, [1, 2, 3, 4, 5])
    t.equal(upstreams.active, 0)
    t.equal(upstreams.waiting, 0)
  },
)

t.test('the length of the line is a limit: at it and one past it; 0 is no line', async t => {
  const { upstreams } = make([1], { queue: { length: 2, waitMs: 0 } })
  const held = now(enterUpstreams(upstreams, never()))
  const line = [
    later(enterUpstreams(upstreams, never())),
    later(enterUpstreams(upstreams, never())),
  ]
  t.throws(() => enterUpstreams(upstreams, never()), { code: 'QUEUE_FULL' })
  held.release('answered')
  for (const entered of line) (await entered).release('answered')
  t.equal(upstreams.active, 0)

  const lineless = make([1], { queue: { length: 0, waitMs: 0 } }).upstreams
  now(enterUpstreams(lineless, never()))
  t.throws(() => enterUpstreams(lineless, never()), { code: 'QUEUE_FULL' })
})

t.test('the wait is a limit, for each its own', async t => {
  const { upstreams } = make([1], { queue: { length: 2, waitMs: 20 } })
  const held = now(enterUpstreams(upstreams, never()))
  const began = performance.now()
  const both = [
    later(enterUpstreams(upstreams, never())),
    later(enterUpstreams(upstreams, never())),
  ]
  await Promise.all(both.map(lease => t.rejects(lease, { code: 'QUEUE_TIMEOUT', status: 503 })))
  t.ok(performance.now() - began >= 19)
  t.equal(upstreams.waiting, 0)
  const third = later(enterUpstreams(upstreams, never()))
  held.release('answered')
  await third
  t.equal(upstreams.active, 1)
})

t.test('the wait is measured on the clock that it is given', async t => {
  let clock = 0
  const { upstreams } = make([1], { queue: { length: 9, waitMs: 5 }, now: () => clock })
  const held = now(enterUpstreams(upstreams, never()))
  const early = later(enterUpstreams(upstreams, never()))
  clock = 3
  const late = later(enterUpstreams(upstreams, never()))
  clock = 5
  await t.rejects(early, { code: 'QUEUE_TIMEOUT' })
  t.equal(upstreams.waiting, 1, 'one that came later waits on')
  held.release('answered')
  await late
})

t.test('who leaves gives up the place in line; a place given back twice counts once', async t => {
  const { upstreams } = make([1])
  const held = now(enterUpstreams(upstreams, never()))
  const leavers = [new AbortController(), new AbortController(), new AbortController()]
  const left = leavers.map(({ signal }) => later(enterUpstreams(upstreams, signal)))
  const next = later(enterUpstreams(upstreams, never()))
  // The middle, the first and the last but one.
  for (const index of [1, 0, 2]) leavers[index]?.abort()
  await Promise.all(left.map(lease => t.rejects(lease, { code: 'CLIENT_LEFT' })))
  t.equal(upstreams.waiting, 1)
  held.release('answered')
  held.release('answered')
  const lease = await next
  t.equal(upstreams.active, 1)
  leavers[0]?.abort()
  lease.release('answered')
  t.equal(upstreams.active, 0)
  const gone = AbortSignal.abort()
  t.throws(() => enterUpstreams(upstreams, gone), { code: 'CLIENT_LEFT' })
})

t.test('a removed program takes no more requests and is rid of once its own are over', async t => {
  const { upstreams, added } = make([1, 1])
  const leases = [now(enterUpstreams(upstreams, never())), now(enterUpstreams(upstreams, never()))]
  const [first, second] = added as [Upstream, Upstream]
  const waiting = later(enterUpstreams(upstreams, never()))
  let settled = false
  const removal = upstreams.remove(first).then(() => {
    settled = true
  })
  t.strictSame(upstreams.members, [second])
  leases[1]?.release('answered')
  t.equal((await waiting).upstream, second, 'the line moves on to the one that stays')
  t.equal(settled, false)
  t.equal(upstreams.active, 2)
  leases[0]?.release('answered')
  await within('removal', removal)
  await within('removal again', upstreams.remove(first))
  t.equal(upstreams.active, 1)
  t.equal(first.active, 0)
})

t.test(
  'the last program is removed: who waits is refused, or waits for the next if supplied',
  async t => {
    const { upstreams, added } = make([1])
    now(enterUpstreams(upstreams, never()))
    const refused = t.rejects(later(enterUpstreams(upstreams, never())), {
      code: 'UPSTREAMS_EJECTED',
    })
    void upstreams.remove(added[0] as Upstream)
    await refused
    t.throws(() => enterUpstreams(upstreams, never()), { code: 'UPSTREAMS_EJECTED', status: 503 })

    const supplied = make([1], { supplied: true })
    const held = now(enterUpstreams(supplied.upstreams, never()))
    const tried = new Set([held.upstream])
    const waiting = [
      later(enterUpstreams(supplied.upstreams, never())),
      later(enterUpstreams(supplied.upstreams, never(), tried)),
    ]
    void supplied.upstreams.remove(held.upstream)
    const replacement = supplied.upstreams.add({
      address: { kind: 'tcp', host: '::1', port: 9 },
      capacity: 2,
    })
    for (const lease of waiting) t.equal((await lease).upstream, replacement)
    t.equal(replacement.name, '[::1]:9')
  },
)

t.test('the capacity changes while requests run: the line moves on, or the work ebbs', async t => {
  const { upstreams, added } = make([1])
  const [only] = added as [Upstream]
  const leases = [now(enterUpstreams(upstreams, never()))]
  const waiting = [1, 2].map(() => later(enterUpstreams(upstreams, never())))
  only.capacity = 3
  leases.push(...(await Promise.all(waiting)))
  t.equal(only.active, 3)

  only.capacity = 1
  const last = later(enterUpstreams(upstreams, never()))
  leases[0]?.release('answered')
  leases[1]?.release('answered')
  t.equal(upstreams.waiting, 1)
  leases[2]?.release('answered')
  await last
  t.equal(only.active, 1)
  for (const wrong of [0, -1, 1.5, Number.NaN]) {
    t.throws(() => {
      only.capacity = wrong
    }, RangeError)
    t.throws(() => upstreams.add({ address: only.address, capacity: wrong }), RangeError)
  }
})

t.test('G-11, G-19: a program that was tried is not given again', async t => {
  const { upstreams, added } = make([2, 1])
  const [first, second] = added as [Upstream, Upstream]
  const tried = new Set([first])
  t.equal(upstreams.hasOther(tried), true)
  const held = now(enterUpstreams(upstreams, never(), tried))
  t.equal(held.upstream, second)
  const waiting = later(enterUpstreams(upstreams, never(), tried))
  const other = now(enterUpstreams(upstreams, never()))
  t.equal(other.upstream, first, 'whoever may have it passes by those who may not')
  other.release('answered')
  t.equal(upstreams.waiting, 1)
  held.release('answered')
  t.equal((await waiting).upstream, second)
  t.equal(upstreams.hasOther(new Set(added)), false)
  t.throws(() => enterUpstreams(upstreams, never(), new Set(added)), { code: 'UPSTREAMS_EJECTED' })
})

t.test('who waits for a program that is removed, having tried the others, is refused', async t => {
  const { upstreams, added } = make([1, 1])
  const [first, second] = added as [Upstream, Upstream]
  now(enterUpstreams(upstreams, never(), new Set([first])))
  const hopeless = later(enterUpstreams(upstreams, never(), new Set([first])))
  const removal = upstreams.remove(second)
  await t.rejects(hopeless, { code: 'UPSTREAMS_EJECTED' })
  void removal
})

t.test(
  'the owner hears how a request ended before the next one is given to the program',
  async t => {
    const heard: [Outcome, string][] = []
    const { upstreams } = make([], { supplied: true })
    const stuck = upstreams.add({
      address: { kind: 'unix', path: '/stuck' },
      capacity: 1,
      onReleased: (outcome, request) => {
        heard.push([outcome, request])
        if (outcome === 'stuck') void upstreams.remove(stuck)
      },
    })
    now(enterUpstreams(upstreams, never())).release('answered', 'GET /a')
    const held = now(enterUpstreams(upstreams, never()))
    const waiting = later(enterUpstreams(upstreams, never()))
    held.release('stuck', 'GET /b')
    t.equal(upstreams.waiting, 1)
    const next = upstreams.add({ address: { kind: 'unix', path: '/next' }, capacity: 1 })
    t.equal((await waiting).upstream, next)
    t.strictSame(heard, [
      ['answered', 'GET /a'],
      ['stuck', 'GET /b'],
    ])
  },
)

t.test('C-10: closed, everybody is refused and what runs goes on', async t => {
  const { upstreams } = make([1])
  const held = now(enterUpstreams(upstreams, never()))
  const waiting = t.rejects(later(enterUpstreams(upstreams, never())), { code: 'DRAINING' })
  upstreams.close()
  await waiting
  t.throws(() => enterUpstreams(upstreams, never()), { code: 'DRAINING' })
  t.equal(upstreams.active, 1)
  held.release('answered')
  t.equal(upstreams.active, 0)
})

t.test('whatever happens: capacities hold, order is kept, nobody is lost', async t => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.constant({ do: 'enter' as const, with: 0 }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('release' as const), with: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), with: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), with: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('tick' as const), with: fc.nat(3000) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('resize' as const), with: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('add' as const), with: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), with: fc.nat(9) }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), async steps => {
      let clock = 0
      const { upstreams } = make([1, 2], { supplied: true, now: () => clock })
      const held: Lease[] = []
      const line: { n: number; leaving: AbortController }[] = []
      const given: number[] = []
      let asked = 0
      let over = 0
      const enter = (): void => {
        const n = ++asked
        const leaving = new AbortController()
        const entered = enterUpstreams(upstreams, leaving.signal)
        if (!(entered instanceof Promise)) {
          held.push(entered)
          return
        }
        const entry = { n, leaving }
        line.push(entry)
        const gone = (): void => {
          line.splice(line.indexOf(entry), 1)
        }
        entered.then(
          lease => {
            gone()
            given.push(n)
            held.push(lease)
          },
          () => {
            gone()
            over++
          },
        )
      }
      const release = (at: number, outcome: Outcome): void => {
        const [lease] = held.splice(at % Math.max(held.length, 1), 1)
        if (lease === undefined) return
        lease.release(outcome)
        over++
      }
      for (const { do: what, with: n } of steps) {
        const members = upstreams.members
        const member = members[n % Math.max(members.length, 1)]
        const activeBefore = new Map(members.map(each => [each, each.active]))
        if (what === 'enter') enter()
        else if (what === 'release') release(n, 'answered')
        else if (what === 'fail') release(n, 'failed')
        else if (what === 'leave') line[n % Math.max(line.length, 1)]?.leaving.abort()
        else if (what === 'tick') clock += n
        else if (what === 'add') {
          upstreams.add({ address: { kind: 'unix', path: `/${n}` }, capacity: n + 1 })
        } else if (member !== undefined && what === 'resize') member.capacity = 1 + (n % 3)
        else if (member !== undefined) void upstreams.remove(member)
        await new Promise(setImmediate)
        for (const each of upstreams.members) {
          // More than it may have is right only after its capacity was lowered.
          const grew = each.active > (activeBefore.get(each) ?? 0)
          if (grew && each.active > each.capacity) return false
        }
        if (upstreams.active !== held.length || upstreams.waiting !== line.length) return false
      }
      // Everybody gets a turn in the end.
      upstreams.add({ address: { kind: 'unix', path: '/last' }, capacity: 1 })
      await new Promise(setImmediate)
      while (held.length > 0 || line.length > 0) {
        if (held.length === 0) return false
        release(0, 'answered')
        await new Promise(setImmediate)
      }
      const inOrder = given.every((n, index) => index === 0 || n > (given[index - 1] ?? 0))
      return inOrder && over === asked && upstreams.active === 0
    }),
    { numRuns: 200 },
  )
  t.pass('as often as it was tried')
})
