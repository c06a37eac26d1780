/**
 * The low-level client against a listener that answers by hand: what goes over the wire, backpressure, and
 * every way in which an answer does not come.
 */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { type ClientRequest, FastCGIClient } from '../../src/fastcgi/client.js'
import { listenForBytes, type Peer } from '../support/byte-listener.js'
import * as by from '../support/fastcgi-bytes.js'
import { begin, end, pairs, record, stream } from '../support/fastcgi-bytes.js'
import { openDescriptors } from '../support/processes.js'
import { settled, waitFor } from '../support/wait-for.js'

const client = new FastCGIClient()
const hello = Buffer.concat([stream(by.STDOUT, 1, 'Content-Type: text/plain\n\nhi'), end(1)])
const stdinEnd = record(by.STDIN, 1)

type Asked = Omit<ClientRequest, 'address' | 'params'> & Partial<Pick<ClientRequest, 'params'>>

/** A request to a listener that serves its one connection like this. */
async function ask(t: Test, serve: (peer: Peer) => void, asked: Asked = {}) {
  const path = await listenForBytes(t, serve)
  return client.request({ address: { kind: 'unix', path }, params: {}, ...asked })
}

/** Contents of one stream, cut by the headers alone. */
function contents(bytes: Buffer, type: number): Buffer {
  const found: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt16BE(at + 4)
    if (bytes[at + 1] === type) found.push(bytes.subarray(at + 8, at + 8 + length))
    at += 8 + length + bytes.readUInt8(at + 6)
  }
  return Buffer.concat(found)
}

t.test('G-1: a request and its answer', async t => {
  let sent: Promise<Buffer> | undefined
  const answer = await ask(
    t,
    peer => {
      sent = peer.receivedEnd(stdinEnd)
      sent.then(() => peer.socket.write(Buffer.concat([record(by.STDERR, 1, 'careful', 3), hello])))
    },
    { params: { REQUEST_METHOD: 'GET', NAME: 'ü' } },
  )
  t.equal(await text(answer.stdout), 'Content-Type: text/plain\n\nhi')
  t.equal(await text(answer.stderr), 'careful')
  t.same(await answer.ended, { appStatus: 0, protocolStatus: 0 })
  const params = pairs([
    ['REQUEST_METHOD', 'GET'],
    ['NAME', '\xc3\xbc'],
  ])
  const expected = [begin(1), record(by.PARAMS, 1, params, 5), record(by.PARAMS, 1), stdinEnd]
  t.equal(zeroPadded(await sent), zeroPadded(Buffer.concat(expected)))
})

/** Padding has no meaning: the hand-made one is 0xaa. */
function zeroPadded(bytes: Buffer | undefined): string | undefined {
  return bytes?.toString('hex').replaceAll('aa', '00')
}

t.test('params as a map are byte strings, and roles have their numbers', async t => {
  for (const [role, code] of [
    ['responder', 1],
    ['authorizer', 2],
    ['filter', 3],
  ] as const) {
    let sent: Buffer = Buffer.alloc(0)
    const answer = await ask(
      t,
      peer => {
        peer.receivedEnd(stdinEnd).then(all => {
          sent = all
          peer.socket.write(hello)
        })
      },
      { role, params: new Map([['A', '\xe9']]) },
    )
    answer.stdout.resume()
    await answer.ended
    t.equal(sent.readUInt16BE(8), code)
    t.same(contents(sent, by.PARAMS), pairs([['A', '\xe9']]))
  }
})

t.test('§6.4: a body and the DATA of a filter, from memory and from streams', async t => {
  const body = Buffer.alloc(700_001, 'b')
  for (const [name, asked] of [
    ['memory', { body, data: Buffer.from('data') }],
    [
      'streams',
      {
        body: Readable.from([body.subarray(0, 5), body.subarray(5)]),
        data: Readable.from(['da', 'ta']),
      },
    ],
  ] as const) {
    let sent: Buffer = Buffer.alloc(0)
    const answer = await ask(
      t,
      peer => {
        peer.receivedEnd(record(by.DATA, 1)).then(all => {
          sent = all
          peer.socket.write(hello)
        })
      },
      { role: 'filter', ...asked },
    )
    answer.stdout.resume()
    await answer.ended
    t.ok(contents(sent, by.STDIN).equals(body), name)
    t.equal(String(contents(sent, by.DATA)), 'data')
    const data = sent.indexOf(Buffer.from([1, by.DATA, 0, 1, 0]))
    t.ok(sent.indexOf(record(by.STDIN, 1)) < data, 'DATA is behind the end of STDIN')
  }
})

t.test('a body of small pieces waits for a reader that is slow, and arrives whole', async t => {
  const pieces = 8_000
  let given = 0
  const body = new Readable({
    read() {
      this.push(given < pieces ? Buffer.alloc(1_000, given % 251) : null)
      given++
    },
  })
  const peers: Peer[] = []
  const answer = await ask(
    t,
    peer => {
      peers.push(peer)
      peer.socket.pause()
    },
    { body },
  )
  answer.stdout.resume()
  const [peer] = await waitFor('a connection', () => (peers.length > 0 ? peers : undefined))
  let before = -1
  await waitFor('the body has stopped', () => {
    const stopped = given === before && given > 100
    before = given
    return stopped
  })
  t.ok(given < pieces / 2, `${given} pieces were taken while nobody read`)
  peer?.socket.resume()
  const all = await peer?.receivedEnd(stdinEnd)
  t.equal(contents(all ?? Buffer.alloc(0), by.STDIN).length, pieces * 1_000)
  peer?.socket.write(hello)
  t.same(await answer.ended, { appStatus: 0, protocolStatus: 0 })
})

t.test('a body of chunks that are small each waits, and goes on', async t => {
  // As objects: a stream of bytes joins what waits, and fills the socket beyond its mark.
  let given = 0
  function* chunks(): Iterable<Buffer> {
    for (; given < 2_000; given++) yield Buffer.alloc(1_000, 'b')
  }
  const peers: Peer[] = []
  const answer = await ask(
    t,
    peer => {
      peers.push(peer)
      peer.socket.pause()
    },
    { body: Readable.from(chunks()), timeoutMs: 5_000 },
  )
  answer.stdout.resume()
  await settled('the body', () => given)
  t.ok(given > 0 && given < 2_000, `${given} chunks were taken while nobody read`)
  peers[0]?.socket.resume()
  await peers[0]?.receivedEnd(stdinEnd)
  peers[0]?.socket.write(hello)
  t.same(await answer.ended, { appStatus: 0, protocolStatus: 0 })
})

t.test(
  'an answer that nobody reads stops the program, and arrives whole when it is read',
  async t => {
    const piece = record(by.STDOUT, 1, Buffer.alloc(65_535, 'x'))
    let written = 0
    const answer = await ask(t, async peer => {
      for (; written < 512; written++) {
        if (!peer.socket.write(piece)) await once(peer.socket, 'drain')
      }
      peer.socket.write(Buffer.concat([record(by.STDOUT, 1), end(1)]))
    })
    let before = -1
    await waitFor('the program has stopped', () => {
      const stopped = written === before && written > 0
      before = written
      return stopped
    })
    t.ok(written < 100, `${written} records of 512 were taken while nobody read`)
    let bytes = 0
    for await (const chunk of answer.stdout) bytes += chunk.length
    t.equal(bytes, 512 * 65_535)
    t.same(await answer.ended, { appStatus: 0, protocolStatus: 0 })
  },
)

t.test('L-1: an answer that comes without the body having been read', async t => {
  const answer = await ask(
    t,
    peer => {
      peer.socket.pause()
      peer.socket.end(hello)
      peer.socket.destroySoon()
    },
    { body: Buffer.alloc(4 << 20) },
  )
  t.match(await text(answer.stdout), /hi$/)
  t.same(await answer.ended, { appStatus: 0, protocolStatus: 0 })
})

t.test('stderr that nobody reads is bounded and stops nothing', async t => {
  const noise = record(by.STDERR, 1, 'e'.repeat(65_536 - 8).slice(0, 65_535))
  const answer = await ask(t, peer => {
    peer.socket.write(Buffer.concat([...Array(40).fill(noise), hello]))
  })
  t.match(await text(answer.stdout), /hi$/)
  await answer.ended
  t.ok((await text(answer.stderr)).length <= 65_536)
})

t.test(
  'G-14, G-8: records of other requests, of unknown types; an end without END_REQUEST',
  async t => {
    const answer = await ask(t, peer => {
      const odd = [
        record(by.STDOUT, 2, 'not ours'),
        end(2, 9),
        record(42, 1, 'x'),
        record(by.GET_VALUES_RESULT, 0),
      ]
      peer.socket.end(
        Buffer.concat([...odd, stream(by.STDOUT, 1, 'ours'), record(by.STDOUT, 1, 'late')]),
      )
    })
    t.equal(await text(answer.stdout), 'ours')
    t.same(await answer.ended, { appStatus: 0, protocolStatus: 0 })
  },
)

t.test('how the program ended is told, not judged', async t => {
  for (const [appStatus, status] of [
    [3, 0],
    [0xffff_ffff, 0],
    [0, 1],
    [0, 2],
    [0, 3],
    [0, 200],
  ] as const) {
    const answer = await ask(t, peer => void peer.socket.write(end(1, appStatus, status)))
    t.equal(await text(answer.stdout), '')
    t.same(await answer.ended, { appStatus, protocolStatus: status })
  }
})

t.test('answers that are none', async t => {
  for (const [name, bytes, code] of [
    ['closed at once', Buffer.alloc(0), 'UPSTREAM_CLOSED'],
    ['closed in the middle of an answer', record(by.STDOUT, 1, 'half'), 'UPSTREAM_CLOSED'],
    ['closed in the middle of a record', hello.subarray(0, 12), 'UPSTREAM_CLOSED'],
    ['another protocol', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 'PROTOCOL_ERROR'],
    ['a record that only we may send (G-15)', begin(1), 'PROTOCOL_ERROR'],
    ['a short END_REQUEST', record(by.END, 1, 'abc'), 'PROTOCOL_ERROR'],
  ] as const) {
    const answer = await ask(t, peer => void peer.socket.end(bytes))
    await t.rejects(answer.ended, { code }, name)
    await t.rejects(text(answer.stdout), { code }, `${name}: stdout`)
    await t.rejects(text(answer.stderr), { code }, `${name}: stderr`)
  }
})

t.test('nobody listens', async t => {
  const answer = client.request({ address: { kind: 'unix', path: '/nowhere/x.sock' }, params: {} })
  await t.rejects(answer.ended, { code: 'UPSTREAM_UNREACHABLE', message: /ENOENT/ })
})

t.test(
  'a time limit, a signal, a reader that leaves, a client that closes: the connection is closed',
  async t => {
    const stop = new AbortController()
    const own = new FastCGIClient()
    for (const [name, asked, act, expected] of [
      ['time', { timeoutMs: 50 }, () => {}, { code: 'TOTAL_TIMEOUT' }],
      [
        'signal',
        { signal: stop.signal },
        () => stop.abort(new Error('enough')),
        { message: 'enough' },
      ],
      [
        'already aborted',
        { signal: AbortSignal.abort(new Error('before')) },
        undefined,
        { message: 'before' },
      ],
      ['close', {}, () => own.close(), { code: 'CLIENT_LEFT' }],
    ] as const) {
      const peers: Peer[] = []
      const path = await listenForBytes(t, peer => void peers.push(peer))
      const answer = own.request({ address: { kind: 'unix', path }, params: {}, ...asked })
      if (act !== undefined) {
        const peer = await waitFor('a connection', () => peers[0])
        await peer.receivedEnd(stdinEnd)
        act()
        await peer.closed()
      }
      await t.rejects(answer.ended, expected, name)
      await t.rejects(text(answer.stdout), expected, `${name}: stdout`)
    }
  },
)

t.test('whoever destroys stdout closes the connection', async t => {
  const peers: Peer[] = []
  const answer = await ask(t, peer => {
    peers.push(peer)
    peer.socket.write(record(by.STDOUT, 1, 'some'))
  })
  await once(answer.stdout, 'readable')
  answer.stdout.destroy()
  await t.rejects(answer.ended, { code: 'CLIENT_LEFT' })
  await peers[0]?.closed()
})

t.test('a body that fails is the failure', async t => {
  const body = new Readable({ read() {} })
  const answer = await ask(t, () => body.destroy(new Error('disk on fire')), { body })
  await t.rejects(answer.ended, { message: 'disk on fire' })
})

t.test('an end before the body has come destroys the body', async t => {
  const body = new Readable({ read() {} })
  const answer = await ask(t, peer => void peer.socket.write(hello), { body })
  t.match(await text(answer.stdout), /hi$/)
  await answer.ended
  t.ok(body.destroyed)
})

t.test('more than 2 MiB of params are refused before anything is opened', async t => {
  const address = { kind: 'unix', path: '/nowhere' } as const
  const params = { N: 'v'.repeat(2_097_147) }
  t.throws(() => client.request({ address, params }), { code: 'ENVIRONMENT_TOO_LARGE' })
})

t.test('trace: a line per record, both ways', async t => {
  const lines: string[] = []
  const answer = await ask(
    t,
    peer => void peer.receivedEnd(stdinEnd).then(() => peer.socket.write(hello)),
    {
      params: { A: 'b' },
      body: Readable.from(['x=y']),
      trace: line => lines.push(line),
    },
  )
  answer.stdout.resume()
  await answer.ended
  t.same(lines, [
    '> 1 BEGIN_REQUEST responder',
    '> 1 PARAMS 4 bytes: A=b',
    '> 1 PARAMS end',
    '> 1 STDIN 3 bytes: x=y',
    '> 1 STDIN end',
    '< 1 STDOUT 28 bytes: Content-Type: text/plain\\x0a\\x0ahi',
    '< 1 STDOUT end',
    '< 1 END_REQUEST app 0 complete',
    '= closed',
  ])
})

t.test('nothing stays open', async t => {
  const before = openDescriptors()
  await t.test('some requests', async t => {
    for (let round = 0; round < 5; round++) {
      const answer = await ask(t, peer => void peer.socket.write(hello))
      answer.stdout.resume()
      await answer.ended
    }
  })
  await waitFor('descriptors are back', () => openDescriptors().size <= before.size)
  t.pass()
})
