/**
 * The load generator against a server that answers bytes by hand: what it must accept, and what it must not
 * count as speed.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type LoadReport, runLoad } from '../../bench/load.js'
import { compileC } from '../../bench/site.js'
import { peer } from '../support/peers.js'

/** Answers each request that has arrived as a whole. */
type Answerer = (socket: Socket, count: number) => void

const BODY = 'Hello, world\n'
const program = join(t.testdir({}), 'load')

async function load(
  t: Test,
  answer: Answerer,
  change: { clients?: number; postBytes?: number } = {},
): Promise<LoadReport> {
  const requestBody = change.postBytes ?? 0
  let count = 0
  const server = createServer(socket => {
    let received = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      const head = received.indexOf('\r\n\r\n')
      if (head < 0 || received.length < head + 4 + requestBody) return
      received = received.subarray(head + 4 + requestBody)
      answer(socket, ++count)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const { clients = 2, postBytes } = change
  const request = { port, path: '/x', clients, seconds: 0.2, postBytes, answerBytes: BODY.length }
  return await runLoad(program, request)
}

const lengthAnswer = `HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`
const chunkedAnswer =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n' +
  '6;x=1\r\nHello,\r\n7\r\n world\n\r\n0\r\nTrailer: a\r\n\r\n'

const rightAnswers: Record<string, string> = {
  'Content-Length': lengthAnswer,
  chunked: chunkedAnswer,
  'an interim answer first': `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${chunkedAnswer}`,
}

const wrongAnswers: Record<string, string> = {
  'status 500': lengthAnswer.replace('200 OK', '500 Oops'),
  'a body too long': 'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nHello, world!!',
  'a body too short':
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n0\r\n\r\n',
  'no body': 'HTTP/1.1 204 No Content\r\n\r\n',
}

const brokenAnswers: Record<string, string> = {
  'what is no HTTP': 'hello\r\n\r\n',
  'bytes after the answer': `${lengthAnswer}x`,
  'a chunk size that is no number': `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
  'no line end after a chunk':
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n',
}

t.test('the load generator', async t => {
  if (peer(t, 'gcc') === undefined) return
  compileC('peers/load.c', program)

  for (const [name, answer] of Object.entries(rightAnswers)) {
    t.test(`counts right answers: ${name}`, async t => {
      const report = await load(t, socket => socket.write(answer))
      t.ok(report.requests > 10, `${report.requests} requests`)
      t.match(report, { errors: 0, wrong: 0, reconnects: 0 })
      t.ok(report.bytes >= report.requests * BODY.length)
      t.ok(report.p50Ms <= report.p99Ms && report.p99Ms <= report.maxMs)
    })
  }

  t.test('an answer cut at every byte is the same answer', async t => {
    const text = rightAnswers['an interim answer first'] ?? ''
    const answer: Answerer = (socket, count) => {
      const at = count % text.length
      socket.setNoDelay(true)
      socket.write(text.slice(0, at))
      setImmediate(() => socket.write(text.slice(at)))
    }
    const report = await load(t, answer, { clients: 8 })
    t.ok(report.requests > text.length, `${report.requests} requests`)
    t.match(report, { errors: 0, wrong: 0 })
  })

  for (const [name, answer] of Object.entries(wrongAnswers)) {
    t.test(`counts as wrong, not as speed: ${name}`, async t => {
      const report = await load(t, socket => socket.write(answer))
      t.match(report, { requests: 0, drained: 0, errors: 0 })
      t.ok(report.wrong > 10, `${report.wrong} wrong`)
    })
  }

  for (const [name, answer] of Object.entries(brokenAnswers)) {
    t.test(`counts as an error: ${name}`, async t => {
      const report = await load(t, (socket, count) => {
        if (count > 20) socket.write(lengthAnswer)
        else socket.end(answer)
      })
      t.match(report, { errors: 20, wrong: 0 })
    })
  }

  t.test('counts as an error: the connection breaks off in the middle', async t => {
    const half = chunkedAnswer.slice(0, -10)
    const report = await load(t, (socket, count) => {
      if (count > 20) socket.write(lengthAnswer)
      else socket.end(half)
    })
    t.match(report, { errors: 20, wrong: 0 })
  })

  t.test('a body that ends with the connection is whole; another connection follows', async t => {
    const report = await load(t, socket => socket.end(`HTTP/1.0 200 OK\r\n\r\n${BODY}`))
    t.ok(report.requests > 10)
    t.match(report, { errors: 0, wrong: 0, reconnects: report.requests + report.drained })
  })

  t.test('sends bodies larger than the socket buffers', async t => {
    const report = await load(t, socket => socket.write(lengthAnswer), { postBytes: 8 << 20 })
    t.ok(report.requests + report.drained >= 2)
    t.match(report, { errors: 0, wrong: 0 })
  })

  t.test('a client that waits while others are served is counted as starved', async t => {
    let first: Socket | undefined
    const report = await load(
      t,
      socket => {
        first ??= socket
        if (socket !== first) socket.write(lengthAnswer)
        else setTimeout(() => socket.write(lengthAnswer), 300)
      },
      { clients: 3 },
    )
    t.match(report, { errors: 0, drained: 3, starved: 1 })
  })

  t.test('clients that get the same are not starved, however little it is', async t => {
    const report = await load(t, socket => setTimeout(() => socket.write(lengthAnswer), 300))
    t.match(report, { requests: 0, drained: 2, starved: 0 })
  })

  t.test('the latency of a request that outlives the time is not lost', async t => {
    const report = await load(t, socket => setTimeout(() => socket.write(lengthAnswer), 500))
    t.match(report, { requests: 0, drained: 2, errors: 0 })
    t.ok(report.p50Ms >= 490, `${report.p50Ms} ms`)
  })
})
