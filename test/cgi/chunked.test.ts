import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { ChunkedDecoder } from '../../src/cgi/chunked.js'
import { GatewayError } from '../../src/errors.js'
import { byteByByte, everySplit } from '../support/chunks.js'

interface Outcome {
  body: string
  done: boolean
  error: string | undefined
}

function run(chunks: Iterable<Buffer>): Outcome {
  const pieces: Buffer[] = []
  const decoder = new ChunkedDecoder(piece => pieces.push(piece))
  let error: string | undefined
  try {
    for (const chunk of chunks) decoder.push(chunk)
    error = decoder.finish()?.message
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown
    error = thrown.message
  }
  assert.ok(
    pieces.every(piece => piece.length > 0),
    'no empty piece',
  )
  return { body: Buffer.concat(pieces).toString('latin1'), done: decoder.done, error }
}

const complete: [string, string, string][] = [
  ['one chunk', '5\r\nhello\r\n0\r\n\r\n', 'hello'],
  [
    'two chunks, hexadecimal in both cases',
    'A\r\n0123456789\r\n0b\r\n0123456789a\r\n0\r\n\r\n',
    '01234567890123456789a',
  ],
  ['an empty body', '0\r\n\r\n', ''],
  ['LF only', '5\nhello\n0\n\n', 'hello'],
  ['extensions, dropped', '5;name="v;\x01"\r\nhello\r\n0;x\r\n\r\n', 'hello'],
  ['blanks after the size', '5 \t\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['trailers, dropped (RFC 9112 §7.1.2)', '5\r\nhello\r\n0\r\nETag: x\r\nA: b\r\n\r\n', 'hello'],
  ['data that looks like framing', '8\r\n0\r\n\r\n0\r\n\r\n0\r\n\r\n', '0\r\n\r\n0\r\n'],
  ['bytes after the end, dropped', '1\r\nx\r\n0\r\n\r\nsurplus', 'x'],
  ['leading zeros', '000000000005\r\nhello\r\n0\r\n\r\n', 'hello'],
]

for (const [name, text, body] of complete) {
  t.test(`RFC 9112 §7.1: ${name}, at every split`, async t => {
    const bytes = Buffer.from(text, 'latin1')
    const expected = { body, done: true, error: undefined }
    t.strictSame(run([bytes]), expected)
    for (const parts of everySplit(bytes)) t.strictSame(run(parts), expected)
    t.strictSame(run(byteByByte(bytes)), expected)
  })
}

const refused: [string, string, RegExp, string][] = [
  ['no size', '\r\nhello', /size is missing/, ''],
  ['a sign', '+5\r\nhello', /size is missing/, ''],
  ['not hexadecimal', '5x\r\nhello', /not hexadecimal/, ''],
  ['thirteen digits', '0000000000005\r\nhello', /too large/, ''],
  ['data longer than the size', '3\r\nhello\r\n', /longer than its size/, 'hel'],
  [
    'two carriage returns after the data',
    '5\r\nhello\r\r\n0\r\n\r\n',
    /longer than its size/,
    'hello',
  ],
  ['an endless extension', `5;${'x'.repeat(8192)}`, /longer than 8 KiB/, ''],
  ['endless trailers', `0\r\n${'A: b\n'.repeat(1639)}`, /longer than 8 KiB/, ''],
]

for (const [name, text, message, body] of refused) {
  t.test(`refused: ${name}`, async t => {
    const bytes = Buffer.from(text)
    const whole = run([bytes])
    t.match(whole.error, message)
    t.equal(whole.body, body, 'what came before is delivered')
    t.strictSame(run(byteByByte(bytes)), whole)
  })
}

t.test('bounds: 8 KiB of extension and of trailers are accepted', async t => {
  t.equal(run([Buffer.from(`1;${'x'.repeat(8188)}\r\ny\r\n0\r\n\r\n`)]).body, 'y')
  t.ok(run([Buffer.from(`0\r\n${'A: b\n'.repeat(1638)}\r\n`)]).done)
})

t.test('ended early: TRUNCATED, wherever it breaks off', async t => {
  const bytes = Buffer.from('5\r\nhello\r\n0\r\nA: b\r\n\r\n')
  for (let end = 0; end < bytes.length; end++) {
    const { done, error } = run([bytes.subarray(0, end)])
    t.equal(done, false)
    t.match(error, /broke off.*no last chunk/)
  }
})

t.test('pieces are views of the chunk they came in: nothing is copied', async t => {
  const bytes = Buffer.from('5\r\nhello\r\n0\r\n\r\n')
  const decoder = new ChunkedDecoder(piece => t.equal(piece.buffer, bytes.buffer))
  decoder.push(bytes)
})

t.test('property: any body in any chunks, cut anywhere, comes back', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 })),
      fc.array(fc.nat({ max: 30 })),
      (chunks, cuts) => {
        const coded = Buffer.concat([
          ...chunks.flatMap(chunk => [
            Buffer.from(`${chunk.length.toString(16)}\r\n`),
            Buffer.from(chunk),
            Buffer.from('\r\n'),
          ]),
          Buffer.from('0\r\n\r\n'),
        ])
        const parts: Buffer[] = []
        let at = 0
        for (const cut of cuts) {
          parts.push(coded.subarray(at, at + cut))
          at += cut
        }
        parts.push(coded.subarray(at))
        const body = Buffer.concat(chunks).toString('latin1')
        assert.deepEqual(run(parts), { body, done: true, error: undefined })
      },
    ),
  )
})

t.test(
  'property: garbage is decoded or refused with a GatewayError, the same however cut',
  async () => {
    const token = fc.constantFrom('0', '5', 'a', ';', '\r', '\n', '\r\n', 'hello', ' ', 'Z')
    fc.assert(
      fc.property(fc.array(token, { maxLength: 30 }), tokens => {
        const bytes = Buffer.from(tokens.join(''))
        assert.deepEqual(run(byteByByte(bytes)), run([bytes]))
      }),
      { numRuns: 500 },
    )
  },
)
