/** The packet of uwsgi: bytes by hand, every cut, the limits of 16 bits, HTTP at the wrong door, and any variables at all. */
import fc from 'fast-check'
import t from 'tap'
import {
  encodeUwsgiPacket,
  isAlive,
  maxBlockBytes,
  pingPacket,
  type UwsgiPacket,
  UwsgiPacketDecoder,
} from '../../src/uwsgi/packet.js'
import { byteByByte, everySplit } from '../support/chunks.js'
import { hex } from '../support/fastcgi-bytes.js'

const example = hex('00 23 00 00 0e 00 "REQUEST_METHOD" 03 00 "GET" 09 00 "PATH_INFO" 01 00 "/"')
const variables = new Map([
  ['REQUEST_METHOD', 'GET'],
  ['PATH_INFO', '/'],
])

/** The packet and all of the body that came with it. */
function read(pieces: Iterable<Buffer>) {
  const decoder = new UwsgiPacketDecoder()
  let packet: UwsgiPacket | undefined
  const body: Buffer[] = []
  for (const piece of pieces) {
    if (packet !== undefined) {
      body.push(piece)
      continue
    }
    packet = decoder.push(piece)
    if (packet !== undefined) body.push(packet.rest)
  }
  if (packet === undefined) return undefined
  return { ...packet, rest: Buffer.concat(body).toString('latin1') }
}

t.test('H-6: the example of the documentation, both ways', async t => {
  t.equal(encodeUwsgiPacket(variables, 0).toString('hex'), example.toString('hex'))
  t.strictSame(read([Buffer.concat([example, Buffer.from('body')])]), {
    modifier1: 0,
    modifier2: 0,
    pairs: ['REQUEST_METHOD', 'GET', 'PATH_INFO', '/'],
    variables,
    rest: 'body',
  })
})

t.test('H-6: lengths over 255 have their low byte first', async t => {
  const encoded = encodeUwsgiPacket(new Map([['A', 'x'.repeat(0x0102)]]), 0)
  t.equal(
    encoded.subarray(0, 9).toString('hex'),
    hex('00 07 01 00 01 00 "A" 02 01').toString('hex'),
  )
  t.equal(read([encoded])?.variables.get('A')?.length, 0x0102)
})

t.test('H-8, H-10: modifiers are data, whatever they ask for', async t => {
  for (const [modifier1, modifier2] of [
    [0, 0],
    [5, 0],
    [9, 0],
    [30, 0],
    [22, 7],
    [255, 255],
  ] as const) {
    const encoded = encodeUwsgiPacket(variables, modifier1, modifier2)
    t.equal(encoded[0], modifier1)
    t.equal(encoded[3], modifier2)
    t.match(read([encoded]), { modifier1, modifier2, variables })
  }
})

t.test('H-9: ping, and what answers it', async t => {
  t.equal(pingPacket.toString('hex'), '64000000')
  t.match(read([pingPacket]), { modifier1: 100, modifier2: 0, pairs: [] })
  t.ok(isAlive(hex('64 00 00 01')))
  t.notOk(isAlive(hex('64 00 00 00')), 'not alive')
  t.notOk(isAlive(hex('00 00 00 01')), 'another packet')
  t.notOk(isAlive(hex('64 00 00')), 'not whole')
  t.notOk(isAlive(Buffer.from('HTTP/1.1 400')))
})

t.test('H-7: 65,535 bytes of variables, and one more', async t => {
  const name = 'A'
  const atLimit = encodeUwsgiPacket(new Map([[name, 'x'.repeat(maxBlockBytes - 5)]]), 0)
  t.equal(atLimit.length, 4 + 65_535)
  t.equal(read([atLimit])?.variables.get(name)?.length, 65_530)
  for (const length of [maxBlockBytes - 4, 70_000, 1 << 20]) {
    t.throws(() => encodeUwsgiPacket(new Map([[name, 'x'.repeat(length)]]), 0), {
      code: 'ENVIRONMENT_TOO_LARGE',
      status: 431,
    })
  }
})

t.test('a packet cut at any byte is the same packet', async t => {
  const whole = Buffer.concat([example, Buffer.from('and a body')])
  const expected = read([whole])
  for (const parts of everySplit(whole)) t.strictSame(read(parts), expected, `${parts[0]?.length}`)
  t.strictSame(read(byteByByte(whole)), expected, 'one byte at a time')
  for (let length = 0; length < example.length; length++) {
    t.equal(read([example.subarray(0, length)]), undefined, `${length} bytes are not enough`)
  }
})

t.test('H-11: a client that speaks HTTP is told from a packet', async t => {
  for (const line of ['GET / HTTP/1.1\r\n', 'POST / HTTP/1.1', 'HEAD /', 'PUT /', 'DELETE /']) {
    const expected = { code: 'PROTOCOL_ERROR', detail: /speaks HTTP/ }
    t.throws(() => read([Buffer.from(line)]), expected, line)
    t.throws(() => read(byteByByte(Buffer.from(line))), expected, 'byte by byte')
  }
  t.equal(Buffer.from('GET ').readUInt16LE(1), 21_573, 'which is how uWSGI tells it')
})

t.test('H-6: a variable past the end of its packet is refused', async t => {
  for (const [bytes, detail] of [
    [hex('00 01 00 00 01'), /longer/],
    [hex('00 02 00 00 01 00'), /longer/],
    [hex('00 04 00 00 ff ff 41 41'), /longer/],
    [hex('00 03 00 00 01 00 "A"'), /no value/],
    [hex('00 04 00 00 01 00 "A" 01'), /longer/],
    [hex('00 05 00 00 01 00 "A" 01 00'), /longer/],
  ] as const) {
    t.throws(() => read([bytes]), { code: 'PROTOCOL_ERROR', detail }, bytes.toString('hex'))
    t.throws(() => read(byteByByte(bytes)), { code: 'PROTOCOL_ERROR', detail }, 'byte by byte')
  }
  t.strictSame(read([hex('00 05 00 00 01 00 "A" 00 00')])?.pairs, ['A', ''])
})

t.test('of two variables with the same name the last one counts', async t => {
  const packet = read([hex('00 0c 00 00 01 00 "A" 01 00 "1" 01 00 "A" 01 00 "2"')])
  t.strictSame(packet?.pairs, ['A', '1', 'A', '2'])
  t.equal(packet?.variables.get('A'), '2')
})

const latin1 = fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes).toString('latin1'))
const byte = fc.nat(255)

t.test('any variables, cut anywhere, come back', async t => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(latin1, latin1), { maxLength: 20 }),
      fc.tuple(byte, byte),
      fc.array(fc.nat(2_000), { maxLength: 8 }),
      (pairs, [modifier1, modifier2], cuts) => {
        const variables = new Map(pairs)
        const encoded = encodeUwsgiPacket(variables, modifier1, modifier2)
        const places = [0, ...cuts.map(cut => Math.min(cut, encoded.length)), encoded.length]
        places.sort((a, b) => a - b)
        const pieces = places.slice(1).map((to, index) => encoded.subarray(places[index], to))
        return JSON.stringify(read(pieces)?.pairs) === JSON.stringify([...variables].flat())
      },
    ),
  )
  t.pass()
})

t.test('any bytes are a packet, its beginning, or a PROTOCOL_ERROR', async t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), bytes => {
      const packet = Buffer.concat([Buffer.from([0, bytes.length, 0, 0]), bytes])
      try {
        read([packet])
        return true
      } catch (error) {
        return (error as { code?: unknown }).code === 'PROTOCOL_ERROR'
      }
    }),
    { numRuns: 1_000 },
  )
  t.pass()
})
