import t from 'tap'
import { createLineLogger, createLogger, formatLine } from '../../src/cli/log-lines.js'
import type { Logger } from '../../src/log.js'

t.test('level, sentence, fields', async t => {
  for (const [fields, line] of [
    [{}, 'warn it happened\n'],
    [{ id: 'a1', ms: 12, ok: true }, 'warn it happened id=a1 ms=12 ok=true\n'],
    [{ script: '/a b', empty: '' }, 'warn it happened script="/a b" empty=""\n'],
    [{ text: 'say "x"=1' }, 'warn it happened text="say \\"x\\"=1"\n'],
    [{ absent: undefined, nothing: null }, 'warn it happened nothing=null\n'],
    [{ list: [1, 'b'], map: { a: 1 } }, 'warn it happened list=[1,"b"] map={"a":1}\n'],
  ] as const) {
    t.equal(formatLine('warn', fields, 'it happened'), line)
  }
})

t.test('F-3: control characters are escaped, so a record is one line', async t => {
  const line = formatLine('error', { stderr: 'a\nb\x1b[2J\x7f\x9b\u2028c' }, 'a\r\nb\x07')
  t.equal(line, 'error a\\r\\nb\\x07 stderr="a\\nb\\u001b[2J\\x7f\\x9b\\u2028c"\n')
  t.match(
    formatLine('error', { error: new Error('x\ny') }, 'm'),
    /^error m error="Error: x\\ny\\n.*"\n$/,
  )
})

function written(make: (output: { write(text: string): void }) => Logger): string {
  const lines: string[] = []
  const log = make({ write: line => void lines.push(line) })
  for (const level of ['debug', 'info', 'warn', 'error'] as const) log[level]({}, 'x')
  return lines.join('')
}

t.test('the level of the configuration and those above it', async t => {
  for (const [level, text] of [
    ['debug', 'debug x\ninfo x\nwarn x\nerror x\n'],
    ['info', 'info x\nwarn x\nerror x\n'],
    ['warn', 'warn x\nerror x\n'],
    ['error', 'error x\n'],
    ['silent', ''],
  ] as const) {
    t.equal(
      written(output => createLineLogger(level, output)),
      text,
      level,
    )
  }
})

t.test('JSON where access lines are JSON', async t => {
  const lines: string[] = []
  const output = { write: (line: string) => void lines.push(line) }
  const log = await createLogger({ access: 'json', level: 'warn' }, output)
  log.info({}, 'not this')
  log.error({ id: 'a1', stderr: '\x1b\n' }, 'it happened')
  const [text = '', ...others] = lines.splice(0)
  t.same(others, [])
  t.match(JSON.parse(text), { level: 50, id: 'a1', stderr: '\x1b\n', msg: 'it happened' })
  t.equal(text.indexOf('\n'), text.length - 1)
  const plain = await createLogger({ access: 'combined', level: 'info' }, output)
  plain.info({}, 'plain')
  t.same(lines, ['info plain\n'])
})
