// When a worker that works is due, at the limits and one before.
import t from 'tap'
import { recyclingReason, requestLimit } from '../../src/worker/recycling.js'

const never = { requests: 0, ageMs: 0, memoryBytes: 0 }
const MiB = 1024 ** 2
const wear = { requests: 500, requestLimit: 501, ageMs: 60_000, memoryBytes: 100 * MiB }

t.test('the number of requests differs by up to a tenth, and 0 is never', async t => {
  t.equal(requestLimit({ ...never, requests: 1_000 }, 0), 1_000)
  t.equal(requestLimit({ ...never, requests: 1_000 }, 0.5), 950)
  t.equal(requestLimit({ ...never, requests: 1_000 }, 0.999), 901)
  t.equal(requestLimit({ ...never, requests: 1 }, 0.999), 1, 'never less than one')
  t.equal(requestLimit(never, 0.5), Number.POSITIVE_INFINITY)
})

t.test('each limit, reached and not', async t => {
  t.equal(recyclingReason(never, wear), undefined)
  t.equal(recyclingReason(never, { ...wear, requestLimit: 500 }), 'after 500 requests')
  t.equal(recyclingReason({ ...never, ageMs: 60_001 }, wear), undefined)
  t.equal(recyclingReason({ ...never, ageMs: 60_000 }, wear), 'after 60 s')
  t.equal(recyclingReason({ ...never, memoryBytes: 100 * MiB + 1 }, wear), undefined)
  t.equal(recyclingReason({ ...never, memoryBytes: 100 * MiB }, wear), 'at 100 MiB of memory')
})
