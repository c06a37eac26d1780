import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { readableBytes, StderrLines } from '../../src/process/stderr-lines.js'
import { byteByByte, everySplit } from '../support/chunks.js'

interface Outcome {
  lines: string[]
  tail: string
  bytes: number
}

function run(chunks: Iterable<Buffer>, capBytes = 65536): Outcome {
  const lines: string[] = []
  const stderr = new StderrLines({ capBytes, emit: line => lines.push(line) })
  for (const chunk of chunks) stderr.push(chunk)
  stderr.end()
  return { lines, tail: stderr.tail, bytes: stderr.bytes }
}

t.test('F-2: lines end at LF or CRLF, the last one at the end', async t => {
  t.strictSame(run([Buffer.from('one\r\ntwo\n\nthree')]).lines, ['one', 'two', 'three'])
  t.strictSame(run([]).lines, [])
  t.strictSame(run([Buffer.from('\n\r\n')]).lines, [], 'empty lines say nothing')
})

t.test('the same lines however stderr is cut', async t => {
  const bytes = Buffer.from('warn: é 🙂\r\n\x1b[31mred\x1b[0m\nlast')
  const whole = run([bytes])
  t.strictSame(whole.lines, ['warn: é 🙂', '\\x1b[31mred\\x1b[0m', 'last'])
  for (const parts of everySplit(bytes)) t.strictSame(run(parts), whole)
  t.strictSame(run(byteByByte(bytes)), whole)
})

t.test('F-3: control bytes and stray bytes are escaped, UTF-8 and tabs stay', async t => {
  const cases: [string, Buffer, string][] = [
    ['escape sequence', Buffer.from('\x1b]0;pwned\x07'), '\\x1b]0;pwned\\x07'],
    ['NUL, DEL and CR inside', Buffer.from('a\0b\x7fc\rd'), 'a\\x00b\\x7fc\\x0dd'],
    ['tab', Buffer.from('\tat main'), '\tat main'],
    ['latin-1', Buffer.from('caf\xe9!', 'latin1'), 'caf\\xe9!'],
    ['UTF-8', Buffer.from('café 日本 🙂'), 'café 日本 🙂'],
    ['C1 control as UTF-8', Buffer.from('a\u009bb'), 'a\\xc2\\x9bb'],
    [
      'overlong and surrogate',
      Buffer.from([0xc0, 0x80, 0xed, 0xa0, 0x80]),
      '\\xc0\\x80\\xed\\xa0\\x80',
    ],
    ['character cut short', Buffer.from([0x41, 0xf0, 0x9f, 0x99]), 'A\\xf0\\x9f\\x99'],
    ['UTF-8 beside a stray byte', Buffer.from([0xc3, 0xa9, 0xff]), 'é\\xff'],
    ['a real replacement character', Buffer.from('\ufffd\x01'), '\ufffd\\x01'],
  ]
  for (const [name, bytes, expected] of cases) t.equal(readableBytes(bytes), expected, name)
})

t.test('F-2: the cap, at it and one past it', async t => {
  const at = run([Buffer.from('12345\n7890')], 10)
  t.strictSame(at.lines, ['12345', '7890'])

  const past = run([Buffer.from('12345\n7890X\nmore\n')], 10)
  t.strictSame(past.lines, ['12345', '7890', '… truncated after 10 bytes'])
  t.equal(past.bytes, 17, 'what was dropped is counted')
  t.equal(past.tail, '12345\n7890X\nmore', 'the tail has the very end')

  t.strictSame(run(byteByByte(Buffer.from('12345\n7890X\nmore\n')), 10), past)
  t.strictSame(run([Buffer.from('x')], 0).lines, ['… truncated after 0 bytes'])
})

t.test('a line without end comes in pieces of 8 KiB that cut no character', async t => {
  const { lines } = run([Buffer.from('a'.repeat(8191) + 'é'.repeat(10)), Buffer.from('\n')])
  t.strictSame(lines, ['a'.repeat(8191), 'é'.repeat(10)])

  const exact = run([Buffer.from(`${'b'.repeat(8192)}\r\nnext\n`)])
  t.strictSame(exact.lines, ['b'.repeat(8192), 'next'])

  const stray = run([Buffer.alloc(8193, 0x80)])
  t.equal(
    stray.lines.join('').length,
    8193 * 4,
    'nothing is lost when no character begins anywhere',
  )
})

t.test('the tail is the last 4 KiB', async t => {
  const long = run([Buffer.from(`${'x'.repeat(5000)}\n`), Buffer.from('the end\n')])
  t.equal(long.tail.length, 4096 - 1, 'the final line end shows as no line')
  t.ok(long.tail.endsWith('x\nthe end'))
  t.equal(run([Buffer.from(`é${'x'.repeat(4095)}`)]).tail, 'x'.repeat(4095), 'no half character')
  t.equal(run([Buffer.from('a\r\nb\x1b\n')]).tail, 'a\nb\\x1b')
})

t.test('property: any bytes, cut anywhere, give the same printable lines', async () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 3000 }),
    fc.constantFrom('\n', '\r\n', 'é', '🙂', '\x9b', 'word').map(text => Buffer.from(text)),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), fc.nat({ max: 20_000 }), (parts, cap) => {
      const chunks = parts.map(part => Buffer.from(part))
      const cut = run(chunks, cap)
      assert.deepEqual(run([Buffer.concat(chunks)], cap), cut)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
      assert.doesNotMatch(cut.lines.join(''), /[\x00-\x08\x0a-\x1f\x7f-\x9f]/)
    }),
  )
})
