/**
 * The report: data by hand in, Markdown out.
 */
import t from 'tap'
import { renderReport } from '../../bench/report.js'
import type { Cell, Result, Sample } from '../../bench/result.js'

const machine = {
  cpu: 'Some CPU',
  cores: 2,
  memoryMiB: 8000,
  kernel: '6.1',
  node: 'v20.19.0',
  commit: 'abc1234',
  peers: { nginx: 'nginx version: 1.22', go: 'go1.19' },
}

const quiet: Sample = {
  rate: 100,
  p50Ms: 5,
  p99Ms: 20,
  errors: 0,
  wrong: 0,
  starved: 0,
  cpuPer1000: 0.5,
  machineCpuPer1000: 0.6,
  foreignCpu: 0.02,
  loopDelay: undefined,
}

function render(cell: Omit<Cell, 'row' | 'unit' | 'clients'>): string {
  const cells = [{ row: 'hello', unit: 'req/s', clients: 16, ...cell }]
  const result: Result = { machine, date: '2026-01-01T00:00:00Z', rounds: 3, seconds: 2, cells }
  return renderReport(result)
}

/** The cells of the line of a server. */
function line(text: string, server: string): string[] {
  const found = text.split('\n').find(each => each.startsWith(`| ${server} |`))
  return (found ?? '')
    .split('|')
    .slice(1, -1)
    .map(each => each.trim())
}

t.test('medians, spread, ratio per round, sums of errors', async t => {
  const own = { server: 'postern', side: 'own' as const, peakMiB: 61.4 }
  const peer = { server: 'nginx', side: 'peer' as const, peakMiB: 9 }
  const text = render({
    series: [
      {
        ...peer,
        samples: [
          { ...quiet, rate: 100 },
          { ...quiet, rate: 50, errors: 2 },
          { ...quiet, rate: 100, errors: 1, wrong: 4 },
        ],
      },
      {
        ...own,
        samples: [
          { ...quiet, rate: 150, p99Ms: 10, loopDelay: { p99Ms: 1, maxMs: 7 } },
          { ...quiet, rate: 110, p99Ms: 30, loopDelay: { p99Ms: 3, maxMs: 4 } },
          { ...quiet, rate: 160, p99Ms: 20, loopDelay: { p99Ms: 2, maxMs: 5 } },
        ],
      },
    ],
  })
  t.same(line(text, 'postern'), [
    'postern',
    '150 (110–160)',
    '1.60',
    '5.00',
    '20.0 (10.0–30.0)',
    '0.500',
    '0.600',
    '61',
    '0',
    '0',
    '2.00 / 7.00',
    '2.00',
  ])
  t.same(line(text, 'nginx').slice(0, 3), ['nginx', '100 (50.0–100)', '1.00'])
  t.same(line(text, 'nginx').slice(8, 10), ['3', '4'])
  t.ok(text.indexOf('| postern |') < text.indexOf('| nginx |'), 'the fastest comes first')
  t.match(text, '### hello, 16 clients (req/s)')
})

t.test('what was not measured is blank, not zero', async t => {
  const { p50Ms, p99Ms, cpuPer1000, foreignCpu, ...rest } = quiet
  const blank = {
    ...rest,
    p50Ms: undefined,
    p99Ms: undefined,
    cpuPer1000: undefined,
    foreignCpu: undefined,
  }
  const text = render({
    series: [{ server: 'spawn-loop', side: 'ceiling', peakMiB: undefined, samples: [blank] }],
  })
  const cells = line(text, 'spawn-loop')
  t.same(
    [2, 3, 4, 5, 7, 10, 11].map(index => cells[index]),
    ['', '', '', '', '', '', ''],
  )
  t.equal(cells[6], '0.600')
})

t.test('the ceiling is no peer', async t => {
  const text = render({
    series: [
      {
        server: 'spawn-loop',
        side: 'ceiling',
        peakMiB: undefined,
        samples: [{ ...quiet, rate: 900 }],
      },
      { server: 'go', side: 'peer', peakMiB: 9, samples: [{ ...quiet, rate: 300 }] },
      { server: 'postern', side: 'own', peakMiB: 9, samples: [{ ...quiet, rate: 600 }] },
    ],
  })
  t.equal(line(text, 'postern')[2], '2.00')
})

t.test('a table with foreign work beside it says that it is no comparison', async t => {
  const busy = { ...quiet, foreignCpu: 0.3 }
  const go = (samples: Sample[]) =>
    render({ series: [{ server: 'go', side: 'peer', peakMiB: 9, samples }] })
  t.match(go([busy, quiet, busy]), /Not comparable.*during go\./)
  t.notMatch(go([busy, quiet, quiet]), 'Not comparable')
})

t.test('a server that serves some clients only is named, with how many it left', async t => {
  const starving = { ...quiet, starved: 14 }
  const nginx = (samples: Sample[]) =>
    render({ series: [{ server: 'nginx', side: 'peer', peakMiB: 9, samples }] })
  t.match(nginx([starving, quiet, starving]), /Starving.*nginx left 14 of 16 clients/)
  t.notMatch(nginx([starving, quiet, quiet]), 'Starving')
})

t.test('the facts of the machine are in the report', async t => {
  const text = render({ series: [] })
  for (const fact of [
    'Some CPU',
    '2 cores',
    'abc1234',
    'v20.19.0',
    'nginx version: 1.22',
    'go1.19',
  ])
    t.match(text, fact)
})
