import t from 'tap'
import { parseDuration, parseSize } from '../../src/server/units.js'

t.test('durations in milliseconds', async t => {
  for (const [given, ms] of [
    [0, 0],
    ['0', 0],
    ['0s', 0],
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['2147483647ms', 2 ** 31 - 1],
  ] as const) {
    t.equal(parseDuration(given), ms, String(given))
  }
})

t.test('no duration', async t => {
  for (const given of [
    1,
    30,
    '30',
    '',
    's',
    '30 s',
    '30S',
    '-1s',
    '1e3s',
    '1d',
    '.5s',
    '0.1ms',
    '2147483648ms',
    null,
    true,
  ]) {
    t.equal(parseDuration(given), undefined, String(given))
  }
})

t.test('sizes in bytes', async t => {
  for (const [given, bytes] of [
    [0, 0],
    [1000, 1000],
    ['1000', 1000],
    ['12B', 12],
    ['64KiB', 65_536],
    ['1MiB', 1_048_576],
    ['1.5MiB', 1_572_864],
    ['1GiB', 1_073_741_824],
  ] as const) {
    t.equal(parseSize(given), bytes, String(given))
  }
})

t.test('no size', async t => {
  for (const given of [
    -1,
    1.5,
    Number.NaN,
    '',
    'KiB',
    '1KB',
    '1kib',
    '1 KiB',
    '1TiB',
    '99999999GiB',
    null,
    false,
  ]) {
    t.equal(parseSize(given), undefined, String(given))
  }
})
