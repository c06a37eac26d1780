/**
 * `fastcgi-stream` 1.0.0 as an independent second opinion: it reads what we write, we read what it writes.
 *
 * What it gets wrong is here as well, one test per fault: first that the fault is there (so that a newer
 * version is noticed), then what we do instead.
 */
import { EventEmitter } from 'node:events'
import fastcgiStream from 'fastcgi-stream'
import t from 'tap'
import { encodePairs, PairReader } from '../../src/fastcgi/name-value.js'
import {
  encodeAbortRequest,
  encodeBeginRequest,
  encodeEndRequest,
  encodeStreamRecord,
  encodeUnknownType,
  encodeValues,
  type FcgiRecord,
  keepConnectionFlag,
  type StreamName,
} from '../../src/fastcgi/record.js'
import { RecordDecoder } from '../../src/fastcgi/record-decoder.js'
import { encodeRequest } from '../../src/fastcgi/request-encoder.js'
import { byteByByte } from '../support/chunks.js'
import * as by from '../support/fastcgi-bytes.js'
import { begin, end, pair, pairs, record } from '../support/fastcgi-bytes.js'

const { FastCGIStream, records } = fastcgiStream

/** A wire whose bytes are pushed in by hand, and kept when they are written. */
class Wire extends EventEmitter {
  readonly written: Buffer[] = []

  write(bytes: Buffer): boolean {
    this.written.push(bytes)
    return true
  }
}

interface TheirRecord {
  readonly id: number
  readonly TYPE: number
  readonly [field: string]: unknown
}

/** What it reads; only the fields of the record, without its functions. */
function theyRead(...pieces: readonly Buffer[]): TheirRecord[] {
  const wire = new Wire()
  const found: TheirRecord[] = []
  new FastCGIStream(wire).on('record', (id: number, each: object & { readonly TYPE: number }) => {
    const fields = Object.entries(each).filter(([, value]) => typeof value !== 'function')
    found.push({ id, TYPE: each.TYPE, ...Object.fromEntries(fields) })
  })
  for (const piece of pieces) wire.emit('data', piece)
  return found
}

type TheirWritten = Parameters<InstanceType<typeof FastCGIStream>['writeRecord']>[1]

function theyWrite(id: number, each: TheirWritten): Buffer {
  const wire = new Wire()
  new FastCGIStream(wire).writeRecord(id, each)
  return Buffer.concat(wire.written)
}

function weRead(...pieces: readonly Buffer[]): FcgiRecord[] {
  const found: FcgiRecord[] = []
  const decoder = new RecordDecoder(each => found.push(each))
  for (const piece of pieces) decoder.push(piece)
  t.ok(decoder.atBoundary)
  return found
}

/** The pairs of the PARAMS records among these bytes. */
function wePair(...pieces: readonly Buffer[]): [string, string][] {
  const found: [string, string][] = []
  const reader = new PairReader({ bytes: 1 << 22, pairs: 1_000 }, (name, value) =>
    found.push([name, value]),
  )
  for (const each of weRead(...pieces)) {
    if (each.type !== 'params') continue
    if (each.ends) reader.end()
    else reader.push(each.content)
  }
  return found
}

const streams: readonly (readonly [StreamName, number])[] = [
  ['stdin', by.STDIN],
  ['stdout', by.STDOUT],
  ['stderr', by.STDERR],
  ['data', by.DATA],
]

/** Lengths 0 to 9, around the two forms of a length, and the longest. */
const lengths = [0, 1, 7, 8, 9, 127, 128, 255, 256, 4_096, 65_535]

t.test('it reads what we write', async t => {
  const stream = (name: StreamName, content: Buffer) => encodeStreamRecord(name, 1, content)
  const bytes = Buffer.alloc(300, 0xe9)
  const list: [string, string][] = [
    ['REQUEST_METHOD', 'GET'],
    ['A', 'v'.repeat(127)],
    ['n'.repeat(128), 'v'.repeat(65_000)],
  ]
  for (const [name, written, fields] of [
    ['BEGIN', encodeBeginRequest(1, 3, true), { TYPE: by.BEGIN, id: 1, role: 3, flags: 1 }],
    ['ABORT', encodeAbortRequest(258), { TYPE: by.ABORT, id: 258 }],
    [
      'END',
      encodeEndRequest(1, 0xffff_fffe, 3),
      { TYPE: by.END, id: 1, appStatus: 0xffff_fffe, protocolStatus: 3 },
    ],
    ['PARAMS', stream('params', encodePairs(list)), { TYPE: by.PARAMS, id: 1, params: list }],
    [
      'GET_VALUES',
      encodeValues('getValues', [['FCGI_MAX_REQS', '']]),
      { TYPE: by.GET_VALUES, id: 0, values: ['FCGI_MAX_REQS'] },
    ],
    [
      'GET_VALUES_RESULT',
      encodeValues('getValuesResult', [['A', '1']]),
      { TYPE: by.GET_VALUES_RESULT, id: 0, values: [['A', '1']] },
    ],
    ['UNKNOWN_TYPE', encodeUnknownType(42), { TYPE: by.UNKNOWN_TYPE, id: 0, type: 42 }],
    ...streams.map(
      ([stdio, type]) => [stdio, stream(stdio, bytes), { TYPE: type, id: 1, data: bytes }] as const,
    ),
  ] as const) {
    t.same(theyRead(written), [fields], name)
    if (written.length < 1_000) t.same(theyRead(...byteByByte(written)), [fields], `${name}, cut`)
  }
})

t.test('it reads contents of every length that we write', async t => {
  for (const [name, type] of streams) {
    for (const length of lengths) {
      const content = Buffer.alloc(length, 'x')
      const [read, behind] = theyRead(encodeStreamRecord(name, 1, content), encodeAbortRequest(2))
      t.equal(read?.TYPE, type)
      t.equal(Buffer.from((read?.data ?? '') as Buffer).equals(content), true, `${name} ${length}`)
      t.equal(behind?.id, 2, 'and is in step afterwards')
    }
  }
})

t.test('it reads the beginning of a request that we write, in one buffer', async t => {
  const bytes = encodeRequest({
    id: 7,
    role: 1,
    keepConnection: true,
    fixedPairs: encodePairs([['SERVER_SOFTWARE', 'x']]),
    variables: new Map([
      ['REQUEST_METHOD', 'POST'],
      ['LONG', 'v'.repeat(200)],
    ]),
    body: Buffer.from('a=b'),
  })
  const read = theyRead(bytes)
  t.ok(read.every(each => each.id === 7))
  t.same(
    read.map(each => each.TYPE),
    [by.BEGIN, by.PARAMS, by.PARAMS, by.STDIN, by.STDIN],
  )
  t.same(read[1]?.params, [
    ['SERVER_SOFTWARE', 'x'],
    ['REQUEST_METHOD', 'POST'],
    ['LONG', 'v'.repeat(200)],
  ])
  t.same(read[3]?.data, Buffer.from('a=b'))
})

t.test('we read what it writes', async t => {
  for (const [written, expected] of [
    [
      new records.BeginRequest(2, 1),
      { type: 'beginRequest', id: 9, role: 2, keepConnection: true },
    ],
    [new records.AbortRequest(), { type: 'abortRequest', id: 9 }],
    [
      new records.EndRequest(0xffff_fffe, 2),
      { type: 'endRequest', id: 9, appStatus: 0xffff_fffe, protocolStatus: 2 },
    ],
    [
      new records.GetValues(['FCGI_MAX_REQS']),
      { type: 'getValues', values: [['FCGI_MAX_REQS', '']] },
    ],
    [new records.GetValuesResult([['A', '1']]), { type: 'getValuesResult', values: [['A', '1']] }],
    [new records.UnknownType(42), { type: 'unknownType', unknown: 42 }],
  ] as const) {
    const bytes = theyWrite(9, written)
    t.same(weRead(bytes), [expected], expected.type)
    t.same(weRead(...byteByByte(bytes)), [expected], `${expected.type}, cut`)
  }
  const list: [string, string][] = [
    ['A', ''],
    ['n'.repeat(128), 'v'.repeat(127)],
    ['LONG', 'v'.repeat(60_000)],
  ]
  t.same(wePair(theyWrite(9, new records.Params(list)), theyWrite(9, new records.Params())), list)
})

t.test('we read contents of every length that it writes, whatever its padding', async t => {
  for (const length of lengths) {
    const content = Buffer.alloc(length, 'x')
    for (const written of [
      new records.StdIn(content),
      new records.StdOut(content),
      new records.StdErr(content),
      new records.Data(content),
    ]) {
      const read = weRead(theyWrite(1, written), theyWrite(2, new records.AbortRequest()))
      const [first] = read
      const said = first !== undefined && 'content' in first ? first.content : undefined
      t.ok(said?.equals(content), `type ${written.TYPE}, ${length} bytes`)
      t.same(read[read.length - 1], { type: 'abortRequest', id: 2 })
    }
  }
})

t.test('fault: a record of unknown type throws out of the data event', async t => {
  t.throws(() => theyRead(record(42, 1, 'x')), TypeError)
  t.same(
    weRead(record(42, 1, 'x'), end(1)).map(each => each.type),
    ['unknown', 'endRequest'],
  )
})

t.test('fault: any version is accepted', async t => {
  const bytes = begin(1)
  bytes[0] = 9
  t.equal(theyRead(bytes).length, 1)
  t.throws(() => weRead(bytes), { code: 'PROTOCOL_ERROR' })
})

t.test('fault: a pair over two PARAMS records is two wrong pairs', async t => {
  const bytes = pair('NAME', 'value')
  const pieces = [
    record(by.PARAMS, 1, bytes.subarray(0, 8)),
    record(by.PARAMS, 1, bytes.subarray(8)),
    record(by.PARAMS, 1),
  ]
  t.not(
    JSON.stringify(theyRead(...pieces).flatMap(each => each.params)),
    JSON.stringify([['NAME', 'value']]),
  )
  t.same(wePair(...pieces), [['NAME', 'value']])
})

t.test('fault: a pair with an empty value is not a pair', async t => {
  const bytes = record(by.PARAMS, 1, pairs([['QUERY_STRING', '']]))
  t.same(theyRead(bytes)[0]?.params, ['QUERY_STRING'])
  t.same(wePair(bytes), [['QUERY_STRING', '']])
})

t.test('fault: a byte that is not UTF-8 is lost', async t => {
  const bytes = record(by.PARAMS, 1, pairs([['A', '\xe9']]))
  t.same(theyRead(bytes)[0]?.params, [['A', '\ufffd']])
  t.same(wePair(bytes), [['A', '\xe9']])
  t.ok(
    encodePairs(wePair(bytes)).equals(pairs([['A', '\xe9']])),
    'and goes out again as it came in',
  )
})

t.test(
  'fault: over 65,535 bytes it says less than follows, and is out of step for good',
  async t => {
    const bytes = theyWrite(1, new records.StdOut(Buffer.alloc(70_000, 'x')))
    t.equal(bytes.readUInt16BE(4), 70_000 - 65_536)
    t.ok(bytes.length > 70_000)
    t.throws(() => encodeStreamRecord('stdout', 1, Buffer.alloc(70_000)), RangeError)
    const variables = new Map([['A', 'x'.repeat(70_000)]])
    const beginning = {
      id: 1,
      role: 1,
      keepConnection: false,
      fixedPairs: Buffer.alloc(0),
      variables,
    }
    t.same(wePair(encodeRequest({ ...beginning, body: undefined })), [['A', 'x'.repeat(70_000)]])
  },
)

t.test('fault: its name of KEEP_CONN is not the one that its README gives', async t => {
  t.equal(records.BeginRequest.flags.KEEP_CONN, undefined)
  t.equal(records.BeginRequest.flags.KEEPCONN, keepConnectionFlag)
  t.equal(keepConnectionFlag, 1)
})

t.test('fault: its padding brings only some lengths to a multiple of 8', async t => {
  t.equal(theyWrite(1, new records.StdOut('abc')).length, 8 + 3 + 3)
  t.equal(encodeStreamRecord('stdout', 1, Buffer.from('abc')).length, 16)
})
