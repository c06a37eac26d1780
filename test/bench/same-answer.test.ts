/**
 * No comparison of servers that do different work.
 */
import t from 'tap'
import { type Row, rows } from '../../bench/rows.js'
import { type Answer, requireSame } from '../../bench/same-answer.js'

const [row] = rows as readonly [Row, ...Row[]]
const right: Answer = { status: 200, type: 'text/plain', length: row.answerBytes, sha256: 'aa' }

t.test('equal right answers pass', async t => {
  t.doesNotThrow(() =>
    requireSame(
      row,
      new Map([
        ['a', right],
        ['b', { ...right }],
      ]),
    ),
  )
})

t.test('a status, a type, a length or a body that differs is named', async t => {
  const others: Partial<Answer>[] = [
    { status: 500 },
    { type: 'text/html' },
    { length: 12 },
    { sha256: 'bb' },
  ]
  for (const other of others) {
    const answers = new Map([
      ['a', right],
      ['b', { ...right, ...other }],
    ])
    t.throws(() => requireSame(row, answers), /the answer of b differs/, JSON.stringify(other))
  }
})

t.test('equal wrong answers do not pass', async t => {
  const wrong = { ...right, status: 404 }
  t.throws(
    () =>
      requireSame(
        row,
        new Map([
          ['a', wrong],
          ['b', wrong],
        ]),
      ),
    /differs/,
  )
})
