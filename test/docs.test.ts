import { readFileSync } from 'node:fs'
import t from 'tap'
import { errorTable } from '../src/errors.js'

const page = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8')

/** Code → text of its section. */
function sections(markdown: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const part of markdown.split(/^## /m).slice(1)) {
    const end = part.search(/^# /m)
    const section = end === -1 ? part : part.slice(0, end)
    const [code = '', ...lines] = section.split('\n')
    if (found.has(code)) throw new Error(`two sections named ${code}`)
    found.set(code, lines.join('\n').trim())
  }
  return found
}

t.test(
  'docs/errors.md: a section for every code, in the order of the table, and no other',
  async t => {
    t.strictSame([...sections(page).keys()], Object.keys(errorTable))
  },
)

t.test('docs/errors.md: each section begins with the status of its code', async t => {
  for (const [code, text] of sections(page)) {
    const { status } = errorTable[code as keyof typeof errorTable]
    t.equal(text.match(/^Status (\d{3})[.,] /)?.[1], String(status), code)
  }
})

t.test('docs/errors.md: each section says something in two to five lines', async t => {
  for (const [code, text] of sections(page)) {
    const lines = text.split('\n').length
    t.ok(lines >= 2 && lines <= 5, `${code} has ${lines} lines`)
  }
})
