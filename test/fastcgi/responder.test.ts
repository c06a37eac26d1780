/**
 * The protocol rows of the responder (conventions G-41 to G-54), with records by hand over a unix socket.
 */
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import t from 'tap'
import { createResponder, type FastCgiRequest, type ResponderOptions } from '../../src/fastcgi.js'
import {
  ABORT,
  begin,
  DATA,
  GET_VALUES,
  GET_VALUES_RESULT,
  hex,
  PARAMS,
  pair,
  record,
  STDIN,
  stream,
  UNKNOWN_TYPE,
} from '../support/fastcgi-bytes.js'
import { waitFor } from '../support/wait-for.js'
import { head, Peer, request, startResponder } from './responder-peer.js'

const KEEP = 1

/** Answers with its variables and its body, once the body is complete. */
async function echo(fcgi: FastCgiRequest): Promise<void> {
  const body: Buffer[] = []
  for await (const chunk of fcgi.stdin) body.push(chunk as Buffer)
  const uri = fcgi.params.get('REQUEST_URI') ?? ''
  fcgi.stdout.write(`Content-Type: text/plain\r\n\r\n${fcgi.role} ${uri} `)
  fcgi.stdout.write(Buffer.concat(body))
}

function answered(text: string): string {
  return `Content-Type: text/plain\r\n\r\n${text}`
}

t.test('§6.2 the bytes of the specification, and the answer in bytes', async t => {
  const { path } = await startResponder(t, {
    handle: fcgi => {
      fcgi.stdout.write(
        `X: ${fcgi.params.get('REQUEST_METHOD')}${fcgi.params.get('QUERY_STRING')}\n\n`,
      )
      fcgi.end(2)
    },
  })
  const peer = await Peer.open(t, path)
  peer.send(
    hex('01 01 00 01 00 08 00 00  00 01 01 00 00 00 00 00'),
    hex('01 04 00 01 00 21 07 00  0e 03 "REQUEST_METHOD" "GET"  0c 00 "QUERY_STRING"  00*7'),
    hex('01 04 00 01 00 00 00 00  01 05 00 01 00 00 00 00'),
  )
  await waitFor('the answer', () => peer.chunks.length > 0)
  t.same(
    Buffer.concat(peer.chunks),
    hex(
      '01 06 00 01 00 08 00 00 "X: GET" 0a 0a  01 06 00 01 00 00 00 00  01 03 00 01 00 08 00 00  00 00 00 02 00 00 00 00',
    ),
  )
  t.equal(peer.chunks.length, 1, 'G-54 a small answer is one write')
})

t.test('G-42 KEEP_CONN 0 closes after END, 1 leaves the connection open', async t => {
  const { path } = await startResponder(t, { handle: echo })
  const once = await Peer.open(t, path)
  once.send(request(1, {}, 'body'))
  t.equal((await once.answer()).stdout, answered('responder / body'))
  await once.untilClosed()
  const kept = await Peer.open(t, path)
  for (const uri of ['/a', '/b']) {
    kept.send(request(1, { REQUEST_URI: uri }, '', KEEP))
    t.equal((await kept.answer()).stdout, answered(`responder ${uri} `))
  }
  t.equal(kept.ended, false)
})

t.test('G-43 without multiplexing a second request ends with CANT_MPX_CONN', async t => {
  const { path } = await startResponder(t, { handle: echo, multiplex: false })
  const peer = await Peer.open(t, path)
  peer.send(head(1, {}, KEEP), request(2, {}, '', KEEP))
  t.match(await peer.answer(2), { protocolStatus: 1, stdout: '' })
  peer.send(record(STDIN, 1))
  t.match(await peer.answer(1), { protocolStatus: 0, stdout: answered('responder / ') })
})

t.test('requests share a connection, and end in the order of their own', async t => {
  const { path } = await startResponder(t, { handle: echo })
  const peer = await Peer.open(t, path)
  peer.send(head(1, { REQUEST_URI: '/1' }, KEEP), request(2, { REQUEST_URI: '/2' }, 'two', KEEP))
  t.equal((await peer.answer(2)).stdout, answered('responder /2 two'))
  peer.send(stream(STDIN, 1, 'one'))
  t.equal((await peer.answer(1)).stdout, answered('responder /1 one'))
})

t.test('G-44 an id that is active already is a protocol error', async t => {
  const aborted: string[] = []
  const { path, lines } = await startResponder(t, {
    handle: fcgi => void fcgi.signal.addEventListener('abort', () => aborted.push('yes')),
  })
  const peer = await Peer.open(t, path)
  peer.send(head(7, {}, KEEP), begin(7, 1, KEEP))
  await peer.untilClosed()
  t.match(lines, [/Request 7 has begun twice/])
  t.same(aborted, ['yes'], 'the request that ran is given up')
})

t.test('G-45 a role that is not served ends with UNKNOWN_ROLE, the connection stays', async t => {
  const { path } = await startResponder(t, { handle: echo })
  const peer = await Peer.open(t, path)
  for (const role of [2, 3, 4, 0, 0xffff]) {
    peer.send(begin(3, role, KEEP), record(PARAMS, 3), record(STDIN, 3))
    t.match(await peer.answer(3), { protocolStatus: 3, appStatus: 0 }, `role ${role}`)
  }
  peer.send(request(3, {}, '', KEEP))
  t.equal((await peer.answer(3)).stdout, answered('responder / '))
})

t.test('G-46 at the limit of requests all are served, one more is OVERLOADED', async t => {
  const { path } = await startResponder(t, { handle: echo, maxRequests: 2 })
  const one = await Peer.open(t, path)
  const two = await Peer.open(t, path)
  one.send(head(1, {}, KEEP), head(2, {}, KEEP))
  one.send(record(GET_VALUES, 0))
  await one.record(GET_VALUES_RESULT)
  two.send(request(1, {}, '', KEEP))
  t.match(await two.answer(1), { protocolStatus: 2 })
  one.send(record(STDIN, 1))
  t.match(await one.answer(1), { protocolStatus: 0 })
  two.send(request(1, {}, '', KEEP))
  t.match(await two.answer(1), { protocolStatus: 0 }, 'a place is free again')
})

t.test('the limit of connections closes one more, and says so', async t => {
  const { path, lines } = await startResponder(t, { handle: echo, maxConnections: 2 })
  const peers = [await Peer.open(t, path), await Peer.open(t, path)]
  const more = await Peer.open(t, path)
  await more.untilClosed()
  t.match(lines, [/more than 2 connections/])
  for (const peer of peers) {
    peer.send(request(1))
    t.match(await peer.answer(), { protocolStatus: 0 })
  }
})

t.test('G-47 GET_VALUES is answered with what was asked for and is known', async t => {
  const limits: ResponderOptions = { maxConnections: 5, maxRequests: 9 }
  const { path } = await startResponder(t, { handle: echo, ...limits })
  const peer = await Peer.open(t, path)
  const asked = ['FCGI_MPXS_CONNS', 'FCGI_OTHER', 'FCGI_MAX_REQS', 'FCGI_MAX_CONNS']
  peer.send(record(GET_VALUES, 0, Buffer.concat(asked.map(name => pair(name, '')))))
  const all = [
    pair('FCGI_MAX_CONNS', '5'),
    pair('FCGI_MAX_REQS', '9'),
    pair('FCGI_MPXS_CONNS', '1'),
  ]
  t.same((await peer.record(GET_VALUES_RESULT)).content, Buffer.concat(all))
  peer.records.length = 0
  peer.send(record(GET_VALUES, 0, pair('FCGI_MAX_REQS', '')))
  t.same((await peer.record(GET_VALUES_RESULT)).content, pair('FCGI_MAX_REQS', '9'))
})

t.test('G-48 unknown management types are named back, unknown others ignored', async t => {
  const { path } = await startResponder(t, { handle: echo })
  const peer = await Peer.open(t, path)
  peer.send(record(77, 1, 'what'), record(42, 0, 'is this'), request(1, {}, 'x', KEEP))
  t.match(await peer.answer(), { stdout: answered('responder / x') })
  t.same(
    peer.records.map(({ type, id, content }) => [type, id, content]),
    [[UNKNOWN_TYPE, 0, hex('2a 00*7')]],
  )
})

t.test(
  'G-49 ABORT fires the signal, ends the body, and the answer is REQUEST_COMPLETE',
  async t => {
    const seen: string[] = []
    const { path } = await startResponder(t, {
      handle: async fcgi => {
        fcgi.signal.addEventListener('abort', () => seen.push('signal'))
        try {
          for await (const chunk of fcgi.stdin) seen.push(String(chunk))
        } catch (error) {
          seen.push((error as NodeJS.ErrnoException).code ?? '')
        }
        fcgi.stdout.write('dropped')
      },
    })
    const peer = await Peer.open(t, path)
    peer.send(head(1, { CONTENT_LENGTH: '9' }, KEEP), record(STDIN, 1, 'four'))
    await waitFor('the body has begun', () => seen.includes('four'))
    peer.send(record(ABORT, 1))
    t.match(await peer.answer(), { protocolStatus: 0, appStatus: 0 })
    t.same(seen, ['four', 'signal', 'ECONNRESET'])
    peer.send(record(ABORT, 1), record(ABORT, 9), request(1, {}, '', KEEP))
    t.match(await peer.answer(), { protocolStatus: 0 }, 'the connection is as good as before')
  },
)

t.test('a web server that goes away is an abort for all its requests', async t => {
  let aborted = 0
  const { path, responder } = await startResponder(t, {
    handle: fcgi => void fcgi.signal.addEventListener('abort', () => aborted++),
  })
  const peer = await Peer.open(t, path)
  peer.send(head(1), head(2), head(3))
  await waitFor('they run', () => responder.active === 3)
  peer.socket.destroy()
  await waitFor('all are told', () => aborted === 3)
  t.equal(responder.active, 0, 'their places are free')
})

t.test('G-50 an early end: the rest of STDIN is read and dropped, nothing is reset', async t => {
  const { path, responder } = await startResponder(t, {
    handle: fcgi => {
      fcgi.stdout.write('Status: 413\r\n\r\n')
      fcgi.end()
    },
  })
  const peer = await Peer.open(t, path)
  const size = 8 * 1024 * 1024
  peer.send(head(1, { CONTENT_LENGTH: String(size) }))
  t.match(await peer.answer(), { stdout: 'Status: 413\r\n\r\n' })
  for (let sent = 0; sent < size; sent += 65_535) peer.send(record(STDIN, 1, Buffer.alloc(65_535)))
  if (peer.socket.writableLength > 0) await once(peer.socket, 'drain')
  peer.send(record(STDIN, 1))
  await waitFor('all of it is taken', () => peer.socket.writableLength === 0)
  t.equal(peer.failure, '')
  t.equal(peer.ended, true, 'the connection has ended for writing only')
  peer.socket.end()
  await waitFor('it is closed', () => peer.closed)
  t.equal(responder.active, 0)
})

t.test('G-50 on a kept connection the late STDIN is dropped and the id is free', async t => {
  const { path } = await startResponder(t, {
    handle: fcgi => {
      fcgi.stdout.write('x\n\n')
      fcgi.end()
    },
  })
  const peer = await Peer.open(t, path)
  for (let round = 0; round < 3; round++) {
    peer.send(head(1, { CONTENT_LENGTH: '10' }, KEEP), record(STDIN, 1, '01234'))
    t.match(await peer.answer(), { stdout: 'x\n\n' })
    peer.send(stream(STDIN, 1, '56789'))
  }
})

t.test('G-52 malformed PARAMS: END, closed, logged', async t => {
  const { path, lines } = await startResponder(t, { handle: echo })
  for (const broken of [
    '\x0e\x03REQUEST',
    '\x05',
    '\x80\x00',
    '\xff\xff\xff\xff\xff\xff\xff\xff',
  ]) {
    const peer = await Peer.open(t, path)
    peer.send(begin(1, 1, KEEP), record(PARAMS, 1, broken), record(PARAMS, 1))
    t.match(await peer.answer(), { protocolStatus: 0, appStatus: 1, stdout: '' })
    await peer.untilClosed()
  }
  t.equal(lines.length, 4)
})

t.test('PARAMS at the limit pass, one byte more does not', async t => {
  const { path, lines } = await startResponder(t, { handle: echo, maxParamsBytes: 200 })
  const at = pair('REQUEST_URI', 'u'.repeat(200 - 11 - 5))
  const peer = await Peer.open(t, path)
  t.equal(at.length, 200)
  peer.send(begin(1, 1, KEEP), record(PARAMS, 1, at), record(PARAMS, 1), record(STDIN, 1))
  t.match(await peer.answer(), { appStatus: 0 })
  const over = pair('REQUEST_URI', 'u'.repeat(200 - 11 - 4))
  peer.send(begin(1, 1, KEEP), record(PARAMS, 1, over), record(PARAMS, 1), record(STDIN, 1))
  t.match(await peer.answer(), { appStatus: 1, stdout: '' })
  await peer.untilClosed()
  t.match(lines, [/200/])
})

t.test('bytes that are no FastCGI close the connection and are logged', async t => {
  const { path, lines } = await startResponder(t, { handle: echo })
  for (const bytes of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), begin(0), record(1, 1, 'short')]) {
    const peer = await Peer.open(t, path)
    peer.send(bytes)
    await peer.untilClosed()
  }
  t.equal(lines.length, 3)
})

t.test(
  'G-53 STDIN shorter than CONTENT_LENGTH errors, one that fits or is longer does not',
  async t => {
    const { path } = await startResponder(t, { handle: echo })
    for (const [sent, expected] of [
      ['1234', undefined],
      ['12345', '12345'],
      ['1234567', '12345'],
    ] as const) {
      const peer = await Peer.open(t, path)
      peer.send(head(1, { CONTENT_LENGTH: '5' }), stream(STDIN, 1, sent))
      const answer = await peer.answer()
      t.equal(answer.stdout, expected === undefined ? '' : answered(`responder / ${expected}`))
      t.equal(answer.appStatus, expected === undefined ? 1 : 0)
      if (expected === undefined) t.match(answer.stderr, /aborted/)
    }
  },
)

t.test('G-54 a long answer comes in records that fit, complete', async t => {
  const size = 200_000
  const { path } = await startResponder(t, {
    handle: fcgi => {
      fcgi.stderr.write('a note')
      fcgi.stdout.write(Buffer.alloc(size, 'abc'))
      fcgi.stdout.write('é')
      fcgi.end()
    },
  })
  const peer = await Peer.open(t, path)
  peer.send(request(1))
  const answer = await peer.answer()
  t.equal(answer.stdout, `${Buffer.alloc(size, 'abc').toString()}\xc3\xa9`)
  t.equal(answer.stderr, 'a note')
  t.same(answer.types.slice(-3), [6, 7, 3], 'both streams are ended')
})

t.test(
  'a handler that throws or rejects costs its request only, with its stack on STDERR',
  async t => {
    const { path } = await startResponder(t, {
      handle: fcgi => {
        if (fcgi.params.get('REQUEST_URI') === '/throw') throw new Error('thrown here')
        return Promise.reject(new Error('rejected here'))
      },
    })
    const peer = await Peer.open(t, path)
    for (const [uri, said] of [
      ['/throw', /thrown here\n\s+at /],
      ['/reject', /rejected here\n\s+at /],
    ] as const) {
      peer.send(request(1, { REQUEST_URI: uri }, '', KEEP))
      t.match(await peer.answer(), { appStatus: 1, stdout: '', stderr: said })
    }
  },
)

t.test('a filter reads DATA after STDIN, an authorizer needs neither', async t => {
  const { path } = await startResponder(t, {
    roles: ['responder', 'authorizer', 'filter'],
    handle: async fcgi => {
      if (fcgi.role === 'authorizer') {
        fcgi.stdout.write('Status: 200\r\nVariable-USER: a\r\n\r\n')
        return
      }
      const parts: string[] = []
      for (const input of [fcgi.stdin, fcgi.data]) {
        for await (const chunk of input) parts.push(String(chunk))
      }
      fcgi.stdout.write(`X: y\r\n\r\n${parts.join('|')}`)
    },
  })
  const peer = await Peer.open(t, path)
  const lengths = { CONTENT_LENGTH: '5', FCGI_DATA_LENGTH: '4' }
  peer.send(head(1, lengths, KEEP, 3), stream(STDIN, 1, 'stdin'), stream(DATA, 1, 'file'))
  t.match(await peer.answer(), { stdout: 'X: y\r\n\r\nstdin|file' })
  peer.send(head(1, {}, KEEP, 2))
  t.match(await peer.answer(), { stdout: 'Status: 200\r\nVariable-USER: a\r\n\r\n' })
  peer.send(head(1, lengths, KEEP, 3), stream(STDIN, 1, 'stdin'), stream(DATA, 1, 'fil'))
  t.match(await peer.answer(), { appStatus: 1, stdout: '' }, 'a file that is too short')
})

t.test('G-41 only the addresses of FCGI_WEB_SERVER_ADDRS may connect', async t => {
  for (const [addresses, allowed] of [
    [['10.0.0.1', ' 127.0.0.1'], true],
    [['10.0.0.1'], false],
  ] as const) {
    const lines: string[] = []
    const options = { webServerAddresses: addresses, log: (line: string) => void lines.push(line) }
    const responder = createResponder({ handle: echo, ...options })
    await responder.listen(0)
    t.teardown(() => responder.close())
    const address = responder.address()
    const peer = await Peer.open(t, typeof address === 'object' ? (address?.port ?? 0) : 0)
    peer.send(request(1))
    if (allowed) t.match(await peer.answer(), { appStatus: 0 })
    else {
      await peer.untilClosed()
      t.match(lines, [/127\.0\.0\.1 is not in FCGI_WEB_SERVER_ADDRS/])
    }
  }
  const { path, lines } = await startResponder(t, {
    handle: echo,
    webServerAddresses: ['127.0.0.1'],
  })
  const peer = await Peer.open(t, path)
  await peer.untilClosed()
  t.match(lines, [/without an IP address/], 'peers without one are refused')
})

t.test('G-55 close lets requests finish, refuses new ones, and settles', async t => {
  const { path, responder } = await startResponder(t, { handle: echo })
  const idle = await Peer.open(t, path)
  const busy = await Peer.open(t, path)
  busy.send(head(1, {}, KEEP))
  await waitFor('it runs', () => responder.active === 1)
  const closed = responder.close()
  await idle.untilClosed()
  busy.send(request(2, {}, '', KEEP))
  t.match(await busy.answer(2), { protocolStatus: 2 })
  busy.send(record(STDIN, 1))
  t.match(await busy.answer(1), { protocolStatus: 0, stdout: answered('responder / ') })
  await closed
  t.equal(existsSync(path), false, 'the socket is removed')
  await t.rejects(Peer.open(t, path), 'nobody accepts')
})

t.test('settings that make no sense are refused by name', async t => {
  for (const name of ['maxConnections', 'maxRequests', 'maxParamsBytes', 'maxBufferedBytes']) {
    for (const value of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      t.throws(() => createResponder({ handle: echo, [name]: value }), new RegExp(`^${name}: `))
    }
  }
})
