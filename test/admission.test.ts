// The line before the gateways: first in, first out, bounded in length and time.
import fc from 'fast-check'
import t from 'tap'
import { Admission, type Release } from '../src/admission.js'

const never = new AbortController().signal
const options = { places: 2, length: 3, waitMs: 0 }

t.test('places are given at once, then in the order of asking', async t => {
  const admission = new Admission(options)
  const first = admission.enter(never) as Release
  const second = admission.enter(never) as Release
  t.type(first, 'function', 'no promise while there is room')
  const order: number[] = []
  const waiting = [1, 2, 3].map(async n => {
    const release = await admission.enter(never)
    order.push(n)
    release()
  })
  t.equal(admission.waiting, 3)
  first()
  second()
  await Promise.all(waiting)
  t.same(order, [1, 2, 3])
  t.equal(admission.active, 0)
})

t.test('the length is a limit: at it and one past it', async t => {
  const admission = new Admission(options)
  const held = [admission.enter(never), admission.enter(never)] as Release[]
  const line = [1, 2, 3].map(() => admission.enter(never) as Promise<Release>)
  t.throws(() => admission.enter(never), { code: 'QUEUE_FULL' })
  for (const release of held) release()
  for (const entered of line) (await entered)()
  t.equal(admission.active, 0)
})

t.test('the wait is a limit', async t => {
  const admission = new Admission({ ...options, places: 1, waitMs: 20 })
  const release = admission.enter(never) as Release
  await t.rejects(Promise.resolve(admission.enter(never)), { code: 'QUEUE_TIMEOUT' })
  t.equal(admission.waiting, 0)
  release()
  t.equal(admission.active, 0)
})

t.test('who leaves gives up the place in line; a place given back twice counts once', async t => {
  const admission = new Admission({ ...options, places: 1 })
  const release = admission.enter(never) as Release
  const leaving = new AbortController()
  const left = t.rejects(Promise.resolve(admission.enter(leaving.signal)), { code: 'CLIENT_LEFT' })
  const next = admission.enter(never) as Promise<Release>
  leaving.abort()
  await left
  t.equal(admission.waiting, 1)
  release()
  release()
  const last = await next
  t.equal(admission.active, 1)
  last()
  t.equal(admission.active, 0)
  t.throws(() => admission.enter(leaving.signal), { code: 'CLIENT_LEFT' })
})

t.test('C-10: closed, everybody is refused', async t => {
  const admission = new Admission({ ...options, places: 1 })
  admission.enter(never)
  const waiting = t.rejects(Promise.resolve(admission.enter(never)), { code: 'DRAINING' })
  admission.close()
  await waiting
  t.throws(() => admission.enter(never), { code: 'DRAINING' })
})

t.test('whatever happens, never more than the places are taken and all come back', async _t => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.constantFrom('enter', 'release', 'leave'), { maxLength: 60 }),
      async (places, steps) => {
        const admission = new Admission({ places, length: 10, waitMs: 0 })
        const taken: Release[] = []
        const waiting: AbortController[] = []
        for (const step of steps) {
          if (step === 'enter') {
            const leaving = new AbortController()
            waiting.push(leaving)
            try {
              void Promise.resolve(admission.enter(leaving.signal)).then(
                release => taken.push(release),
                () => {},
              )
            } catch {
              // Full: that is an answer, too.
            }
          } else if (step === 'release') taken.shift()?.()
          else waiting.shift()?.abort()
          await new Promise(setImmediate)
          if (admission.active > places) return false
        }
        while (taken.length > 0) {
          taken.shift()?.()
          await new Promise(setImmediate)
        }
        return admission.active === 0 && admission.waiting === 0
      },
    ),
    { numRuns: 50 },
  )
})
