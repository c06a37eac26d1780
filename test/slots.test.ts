import fc from 'fast-check'
import t from 'tap'
import { Slots } from '../src/slots.js'

t.test('members come and go, each once, whatever the order', async t => {
  fc.assert(
    fc.property(fc.array(fc.nat(9), { maxLength: 200 }), steps => {
      const slots = new Slots<object>()
      const here: { slot: number; member: object }[] = []
      for (const step of steps) {
        const leaving = step < 5 ? undefined : here.splice(step % (here.length || 1), 1)[0]
        if (leaving !== undefined) slots.remove(leaving.slot)
        else {
          const member = { step }
          here.push({ slot: slots.add(member), member })
        }
      }
      return (
        slots.size === here.length &&
        new Set(slots).size === here.length &&
        here.every(({ member }) => [...slots].includes(member))
      )
    }),
  )
  t.pass('every member that was not taken off is there once')
})

t.test('a place is used again', async t => {
  const slots = new Slots<string>()
  const first = slots.add('a')
  slots.add('b')
  slots.remove(first)
  t.equal(slots.add('c'), first)
  t.strictSame([...slots], ['c', 'b'])
})
