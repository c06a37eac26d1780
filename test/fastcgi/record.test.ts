/** The bytes of each record that we write, against bytes by hand (conventions G, FastCGI §3.3, §4, §5). */
import t from 'tap'
import {
  encodeAbortRequest,
  encodeBeginRequest,
  encodeEndRequest,
  encodeStreamHeader,
  encodeStreamRecord,
  encodeUnknownType,
  encodeValues,
  maxContentBytes,
  paddingFor,
  protocolStatus,
  recordType,
  role,
} from '../../src/fastcgi/record.js'
import * as by from '../support/fastcgi-bytes.js'
import { hex } from '../support/fastcgi-bytes.js'

const threeNames = [
  ['FCGI_MAX_CONNS', ''],
  ['FCGI_MAX_REQS', ''],
  ['FCGI_MPXS_CONNS', ''],
] as const

t.test('§G: each record is the bytes of the table', async t => {
  for (const [name, written, expected] of [
    [
      'BEGIN, no keep',
      encodeBeginRequest(1, role.responder, false),
      '01 01 00 01 00 08 00 00  00 01 00 00 00 00 00 00',
    ],
    [
      'BEGIN, keep',
      encodeBeginRequest(1, role.responder, true),
      '01 01 00 01 00 08 00 00  00 01 01 00 00 00 00 00',
    ],
    [
      'BEGIN, authorizer',
      encodeBeginRequest(0x0102, role.authorizer, false),
      '01 01 01 02 00 08 00 00  00 02 00 00 00 00 00 00',
    ],
    [
      'BEGIN, filter',
      encodeBeginRequest(65_535, role.filter, false),
      '01 01 ff ff 00 08 00 00  00 03 00 00 00 00 00 00',
    ],
    [
      'BEGIN, a role of two bytes',
      encodeBeginRequest(1, 0x1234, false),
      '01 01 00 01 00 08 00 00  12 34 00 00 00 00 00 00',
    ],
    ['PARAMS end', encodeStreamRecord('params', 1, Buffer.alloc(0)), '01 04 00 01 00 00 00 00'],
    ['STDIN end', encodeStreamRecord('stdin', 1, Buffer.alloc(0)), '01 05 00 01 00 00 00 00'],
    ['ABORT', encodeAbortRequest(1), '01 02 00 01 00 00 00 00'],
    [
      'END app 0',
      encodeEndRequest(1, 0, protocolStatus.requestComplete),
      '01 03 00 01 00 08 00 00  00 00 00 00 00 00 00 00',
    ],
    [
      'END app 2',
      encodeEndRequest(1, 2, protocolStatus.requestComplete),
      '01 03 00 01 00 08 00 00  00 00 00 02 00 00 00 00',
    ],
    [
      'END app 2^32 - 1',
      encodeEndRequest(1, 0xffff_ffff, 0),
      '01 03 00 01 00 08 00 00  ff ff ff ff 00 00 00 00',
    ],
    [
      'END CANT_MPX',
      encodeEndRequest(1, 0, protocolStatus.cannotMultiplex),
      '01 03 00 01 00 08 00 00  00 00 00 00 01 00 00 00',
    ],
    [
      'END OVERLOADED',
      encodeEndRequest(1, 0, protocolStatus.overloaded),
      '01 03 00 01 00 08 00 00  00 00 00 00 02 00 00 00',
    ],
    [
      'END UNKNOWN_ROLE',
      encodeEndRequest(1, 0, protocolStatus.unknownRole),
      '01 03 00 01 00 08 00 00  00 00 00 00 03 00 00 00',
    ],
    [
      'GET_VALUES',
      encodeValues('getValues', threeNames),
      '01 09 00 00 00 30 00 00  0e 00 "FCGI_MAX_CONNS" 0d 00 "FCGI_MAX_REQS" 0f 00 "FCGI_MPXS_CONNS"',
    ],
    ['GET_VALUES of nothing', encodeValues('getValues', []), '01 09 00 00 00 00 00 00'],
    [
      'GET_VALUES_RESULT',
      encodeValues('getValuesResult', [['FCGI_MPXS_CONNS', '1']]),
      '01 0a 00 00 00 12 06 00  0f 01 "FCGI_MPXS_CONNS" "1" 00*6',
    ],
    ['UNKNOWN_TYPE', encodeUnknownType(42), '01 0b 00 00 00 08 00 00  2a 00 00 00 00 00 00 00'],
    [
      'STDOUT',
      encodeStreamRecord('stdout', 1, Buffer.from('hi')),
      '01 06 00 01 00 02 06 00  "hi" 00*6',
    ],
    [
      'STDERR',
      encodeStreamRecord('stderr', 258, Buffer.from('12345678')),
      '01 07 01 02 00 08 00 00  "12345678"',
    ],
    [
      'DATA',
      encodeStreamRecord('data', 1, Buffer.from([0xe9])),
      '01 08 00 01 00 01 07 00  e9 00*7',
    ],
    ['a header alone', encodeStreamHeader('stdin', 1, 0x0201, 7), '01 05 00 01 02 01 07 00'],
  ] as const) {
    t.equal(written.toString('hex'), hex(expected).toString('hex'), name)
  }
})

t.test('§8: the numbers of the types are those of the table', async t => {
  t.same(
    [
      ...[recordType.beginRequest, recordType.abortRequest, recordType.endRequest],
      ...[recordType.params, recordType.stdin, recordType.stdout, recordType.stderr],
      ...[recordType.data, recordType.getValues, recordType.getValuesResult],
      recordType.unknownType,
    ],
    [
      ...[by.BEGIN, by.ABORT, by.END, by.PARAMS, by.STDIN, by.STDOUT, by.STDERR],
      ...[by.DATA, by.GET_VALUES, by.GET_VALUES_RESULT, by.UNKNOWN_TYPE],
    ],
  )
})

t.test('§3.3: a record is a multiple of 8 bytes long', async t => {
  for (let length = 0; length <= 24; length++) {
    const written = encodeStreamRecord('stdout', 1, Buffer.alloc(length, 1))
    t.equal(written.length % 8, 0, `${length} bytes`)
    t.equal(written.length, 8 + length + paddingFor(length))
    t.ok(paddingFor(length) < 8)
  }
})

t.test('the longest content is 65,535 bytes, and one more is refused rather than cut', async t => {
  const most = encodeStreamRecord('stdout', 1, Buffer.alloc(maxContentBytes, 1))
  t.equal(most.length, 8 + 65_536)
  t.equal(most.subarray(0, 8).toString('hex'), `${'010600010000ffff'.slice(0, 8)}ffff0100`)
  t.throws(() => encodeStreamRecord('stdout', 1, Buffer.alloc(maxContentBytes + 1)), RangeError)
  t.throws(() => encodeStreamHeader('stdout', 1, maxContentBytes + 1, 0), RangeError)
})

t.test('values that do not fit in one record are refused', async t => {
  // 4 + 1 + 65,530 bytes.
  const most = encodeValues('getValuesResult', [['', 'x'.repeat(65_530)]])
  t.equal(most.readUInt16BE(4), 65_535)
  t.throws(() => encodeValues('getValuesResult', [['', 'x'.repeat(65_531)]]), {
    code: 'ENVIRONMENT_TOO_LARGE',
  })
})
