/**
 * A result as Markdown: one table per cell, a line per server with medians and spread, best rate first.
 *
 * Pure: Result in, text out. Whoever wants other words or columns changes only this file.
 */
import type { Cell, Result, Series } from './result.js'
import { median, medianRatio, spread } from './stats.js'

const COLUMNS = [
  'server',
  'rate (min–max)',
  '× best peer',
  'p50 ms',
  'p99 ms (min–max)',
  'CPU s/1000',
  'machine CPU s/1000',
  'peak MiB',
  'errors',
  'wrong',
  'loop p99/max ms',
  'foreign CPU %',
]

/** Share of the machine; above it a table is no comparison. */
const FOREIGN_LIMIT = 0.1

/** The whole report; ends in a newline. */
export function renderReport(result: Result): string {
  const { machine } = result
  const peers = Object.values(machine.peers).join('; ')
  const facts = [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryMiB} MiB, Linux ${machine.kernel}, Node ${machine.node}, commit ${machine.commit}, ${result.date}.`,
    `${peers}.`,
    `${result.rounds} interleaved rounds of ${result.seconds} s per server; medians of rounds, min–max in parentheses.`,
    '× best peer: the median of the ratios to the best peer of the same round. CPU: the whole process tree of the server, blank where its children are reaped by the kernel and not counted. Machine CPU: everything but the load generator, an upper bound.',
    'Foreign CPU: share of the machine used by neither server nor load generator, most of it the kernel on a quiet machine.',
  ]
  return `${[facts.join('\n'), ...result.cells.map(renderCell)].join('\n\n')}\n`
}

function renderCell(cell: Cell): string {
  const peers = cell.series
    .filter(series => series.side === 'peer')
    .map(series => series.samples.map(sample => sample.rate))
  const measured = cell.series.filter(series => series.samples.length > 0)
  const lines = measured
    .map(series => ({ rate: median(rates(series)), line: renderSeries(series, peers) }))
    .sort((a, b) => b.rate - a.rate)
    .map(({ line }) => line)
  return [
    `### ${cell.row}, ${cell.clients} client${cell.clients === 1 ? '' : 's'} (${cell.unit})`,
    '',
    row(COLUMNS),
    row(COLUMNS.map((_, index) => (index === 0 ? '---' : '---:'))),
    ...lines,
    ...renderDisturbance(measured),
    ...renderStarving(measured, cell.clients),
  ].join('\n')
}

/**
 * Foreign work does not meet all alike, however rounds are interleaved: the scheduler shares out by process,
 * so a server with many at once loses little and one with few loses much.
 */
function renderDisturbance(measured: readonly Series[]): string[] {
  const disturbed = measured.filter(({ samples }) => {
    const foreign = known(samples.map(({ foreignCpu }) => foreignCpu))
    return foreign.length > 0 && median(foreign) > FOREIGN_LIMIT
  })
  if (disturbed.length === 0) return []
  const names = disturbed.map(({ server }) => server).join(', ')
  const limit = `${100 * FOREIGN_LIMIT} %`
  return [
    '',
    `**Not comparable**: more than ${limit} of the machine went to others during ${names}.`,
  ]
}

/** Rate and latencies of a server that serves some clients only are no better for it. */
function renderStarving(measured: readonly Series[], clients: number): string[] {
  return measured.flatMap(({ server, samples }) => {
    const starved = median(samples.map(sample => sample.starved))
    if (starved === 0) return []
    const line = `**Starving**: ${server} left ${starved} of ${clients} clients with less than a tenth of an even share (median of rounds); its latencies are those of the others.`
    return ['', line]
  })
}

function renderSeries(series: Series, peers: readonly (readonly number[])[]): string {
  const { samples } = series
  const delays = known(samples.map(({ loopDelay }) => loopDelay))
  const longest = delays.map(({ maxMs }) => maxMs)
  return row([
    series.server,
    withSpread(rates(series)),
    medianRatio(rates(series), peers)?.toFixed(2) ?? '',
    middle(samples.map(({ p50Ms }) => p50Ms)),
    withSpread(known(samples.map(({ p99Ms }) => p99Ms))),
    middle(samples.map(({ cpuPer1000 }) => cpuPer1000)),
    middle(samples.map(({ machineCpuPer1000 }) => machineCpuPer1000)),
    series.peakMiB?.toFixed(0) ?? '',
    String(total(samples.map(({ errors }) => errors))),
    String(total(samples.map(({ wrong }) => wrong))),
    delays.length === 0
      ? ''
      : `${middle(delays.map(({ p99Ms }) => p99Ms))} / ${digits(Math.max(...longest))}`,
    middle(samples.map(({ foreignCpu }) => foreignCpu && 100 * foreignCpu)),
  ])
}

function rates(series: Series): number[] {
  return series.samples.map(({ rate }) => rate)
}

function middle(values: readonly (number | undefined)[]): string {
  const numbers = known(values)
  return numbers.length === 0 ? '' : digits(median(numbers))
}

function withSpread(values: readonly number[]): string {
  if (values.length === 0) return ''
  const { median: centre, min, max } = spread(values)
  return `${digits(centre)} (${digits(min)}–${digits(max)})`
}

/** Three significant digits, but every digit before the point. */
function digits(value: number): string {
  if (value >= 100) return value.toFixed(0)
  if (value >= 10) return value.toFixed(1)
  return value.toFixed(value >= 1 ? 2 : 3)
}

function known<T>(values: readonly (T | undefined)[]): T[] {
  return values.flatMap(value => (value === undefined ? [] : [value]))
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}
