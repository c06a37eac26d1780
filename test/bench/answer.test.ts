/**
 * What counts as the same answer, before the measuring and during it.
 */
import { createHash } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import t, { type Test } from 'tap'
import { agree, ask, type WholeAnswer } from '../../src/bench/answer.js'
import { AnswerCheck, mostComparedBytes } from '../../src/bench/answer-check.js'
import { BenchFailure } from '../../src/bench/child.js'
import { byteByByte, everySplit } from '../support/chunks.js'

function answer(body: string, head: { status?: number; type?: string } = {}): WholeAnswer {
  const { status = 200, type = 'text/plain' } = head
  const bytes = Buffer.from(body)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { status, type, length: bytes.length, sha256, body: bytes }
}

const modes = (...lists: readonly (readonly WholeAnswer[])[]) =>
  new Map(lists.map((list, index) => [['CGI', 'FastCGI'][index] ?? '', list]))

t.test('modes that answer alike agree on the body', async t => {
  const {
    comparison,
    expected,
    answer: agreed,
  } = agree(modes([answer('a'), answer('a')], [answer('a'), answer('a')]))
  t.equal(comparison, 'body')
  t.same(expected, { status: 200, type: 'text/plain', length: 1, body: 'YQ==' })
  t.equal(agreed.sha256, answer('a').sha256)
  t.notOk('body' in agreed, 'the result does not carry the body')
})

t.test('modes that answer differently cannot be compared', async t => {
  for (const other of [
    answer('b'),
    answer('aa'),
    answer('a', { status: 201 }),
    answer('a', { type: 'text/html' }),
  ]) {
    t.throws(() => agree(modes([answer('a'), answer('a')], [other, other])), {
      name: 'BenchFailure',
      message:
        /^CGI and FastCGI answer differently, so they cannot be compared: 200, text\/plain, 1 bytes/,
    })
  }
})

t.test('a body that is never the same is not compared, its head is', async t => {
  const changing = [answer('a'), answer('b')]
  const { comparison, expected } = agree(modes(changing, [answer('c'), answer('c')]))
  t.equal(comparison, 'status and type')
  t.same(expected, { status: 200, type: 'text/plain', length: undefined, body: undefined })
  const html = answer('a', { type: 'text/html' })
  t.throws(() => agree(modes(changing, [html])), BenchFailure)
})

t.test('an error is nothing to measure', async t => {
  t.equal(agree(modes([answer('', { status: 399 })])).answer.status, 399)
  t.throws(() => agree(modes([answer('', { status: 400 })])), /^CGI answers with 400/)
  t.throws(() => agree(modes()), /no mode has answered/)
})

t.test('a body is compared up to 256 KiB, its length beyond', async t => {
  const at = agree(modes([answer('x'.repeat(mostComparedBytes))]))
  t.type(at.expected.body, 'string')
  const past = agree(modes([answer('x'.repeat(mostComparedBytes + 1))]))
  t.equal(past.expected.body, undefined)
  t.equal(past.expected.length, mostComparedBytes + 1)
})

const hello = { status: 200, type: 'a/b', length: 5, body: Buffer.from('hello').toString('base64') }

function check(
  expected: typeof hello | { length: undefined; body: undefined },
  parts: Iterable<Buffer>,
) {
  const check = new AnswerCheck({ ...hello, ...expected })
  check.data(Buffer.from('what came before'))
  check.reset()
  for (const part of parts) check.data(part)
  return check
}

t.test('while the load runs every byte is compared', async t => {
  for (const [body, right] of [
    ['hello', true],
    ['hellO', false],
    ['Hello', false],
    ['hell', false],
    ['hello!', false],
    ['', false],
  ] as const) {
    for (const parts of everySplit(Buffer.from(body))) {
      t.equal(check(hello, parts).isRight(200, 'a/b'), right, body)
    }
    t.equal(check(hello, byteByByte(Buffer.from(body))).isRight(200, 'a/b'), right, body)
  }
  t.equal(check(hello, [Buffer.from('hello')]).isRight(201, 'a/b'), false, 'status')
  t.equal(check(hello, [Buffer.from('hello')]).isRight(200, 'a/c'), false, 'type')
  const varies = { length: undefined, body: undefined }
  t.equal(check(varies, [Buffer.from('anything')]).isRight(200, 'a/b'), true)
})

async function listen(t: Test, onRequest: RequestListener): Promise<number> {
  const server = createServer(onRequest)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

t.test('ask gives the whole answer, or says what is missing', async t => {
  const port = await listen(t, (request, response) => {
    if (request.url === '/whole') return void response.setHeader('Content-Type', 'a/b').end('hello')
    response.setHeader('Content-Length', '10')
    response.write('hello', () => response.destroy())
  })
  const at = { host: '127.0.0.1', port }
  const { signal } = new AbortController()
  t.match(await ask(at, '/whole', signal), {
    status: 200,
    type: 'a/b',
    length: 5,
    sha256: answer('hello').sha256,
  })
  await t.rejects(ask(at, '/half', signal), {
    name: 'BenchFailure',
    message: /^no answer to \/half: /,
  })
  await t.rejects(ask(at, '/whole', AbortSignal.abort()), BenchFailure)
})
