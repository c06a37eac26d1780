/**
 * FCGI_GET_VALUES as it is asked, and every answer that is none (conventions G-21).
 */
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { type ProbeAnswer, probeValues } from '../../src/fastcgi/probe.js'
import {
  end,
  GET_VALUES_RESULT,
  hex,
  pairs,
  record,
  UNKNOWN_TYPE,
} from '../support/fastcgi-bytes.js'
import { startWorker } from '../support/fastcgi-worker.js'
import { tempRoot } from '../support/temp-root.js'
import { waitFor } from '../support/wait-for.js'

/** Asks an application that answers so. */
async function ask(
  t: Test,
  answer: (socket: Socket) => void,
  limitMs = 5_000,
): Promise<ProbeAnswer | undefined> {
  const worker = await startWorker(t, {}, { values: answer })
  const found = await probeValues(worker.address, limitMs)
  await waitFor('the connection is closed', () => worker.open === 0)
  return found
}

const result = (list: readonly (readonly [string, string])[]): Buffer =>
  record(GET_VALUES_RESULT, 0, pairs(list))

t.test('§4.1 the question, byte by byte', async t => {
  let asked: Buffer | undefined
  const worker = await startWorker(
    t,
    {},
    {
      values: (socket, content) => {
        asked = content
        socket.write(result([]))
      },
    },
  )
  await probeValues(worker.address)
  const names = hex('0e 00 "FCGI_MAX_CONNS" 0d 00 "FCGI_MAX_REQS" 0f 00 "FCGI_MPXS_CONNS"')
  t.equal(asked?.equals(names), true)
})

t.test('an answer, whole or in pieces', async t => {
  const said = result([
    ['FCGI_MAX_CONNS', '4'],
    ['FCGI_MPXS_CONNS', '0'],
    ['FCGI_MAX_REQS', '5'],
    ['FCGI_OTHER', 'x'],
  ])
  const want = { maxConnections: 4, maxRequests: 5, multiplexes: false }
  t.strictSame(await ask(t, socket => void socket.write(said)), want)
  const inPieces = ask(t, socket => {
    socket.write(said.subarray(0, 9))
    setImmediate(() => socket.write(said.subarray(9)))
  })
  t.strictSame(await inPieces, want)
})

t.test('values that make no sense are not known', async t => {
  for (const value of ['', '0', '-1', '1e9', ' 4', '9999999999', 'many']) {
    const answer = result([
      ['FCGI_MAX_CONNS', value],
      ['FCGI_MPXS_CONNS', 'yes'],
    ])
    t.strictSame(await ask(t, socket => void socket.write(answer)), {
      maxConnections: undefined,
      maxRequests: undefined,
      multiplexes: false,
    })
  }
})

t.test('G-21 what is no answer', async t => {
  const answers: Readonly<Record<string, (socket: Socket) => void>> = {
    UNKNOWN_TYPE: socket =>
      socket.write(record(UNKNOWN_TYPE, 0, Buffer.from([9, 0, 0, 0, 0, 0, 0, 0]))),
    'a close': socket => socket.end(),
    'a break': socket => socket.destroy(),
    'another record': socket => socket.write(end(1)),
    'no FastCGI': socket => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
    'broken pairs': socket => socket.write(record(GET_VALUES_RESULT, 0, hex('ff'))),
  }
  for (const [what, answer] of Object.entries(answers))
    t.equal(await ask(t, answer), undefined, what)
  t.equal(await ask(t, () => {}, 30), undefined, 'silence')
  const path = `${tempRoot(t).path}/nobody.sock`
  t.equal(await probeValues({ kind: 'unix', path }), undefined, 'nobody there')
})
