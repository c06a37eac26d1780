/**
 * A result as plain text for a terminal: what was measured, an aligned table with a line per mode, what to know of
 * it, and the verdict. As JSON: the result with figures and verdict added. Pure.
 */
import { type Figures, figuresOf, type Spread } from './figures.js'
import { digits, milliseconds, seconds } from './numbers.js'
import type { BenchResult } from './result.js'
import { verdict } from './verdict.js'

const columns = [
  'mode',
  'requests/s',
  'p50',
  'p99',
  'CPU per 1000',
  'memory',
  'errors',
  'wrong',
] as const

/** A load generator this busy may be what was measured. */
const saturatedShare = 0.9

/** The text, which ends in a line feed. */
export function renderText(result: BenchResult): string {
  const figures = allFigures(result)
  const rows = figures.map(cellsOf)
  const parts = [
    describePlan(result),
    ...(rows.length === 0 ? [] : [renderTable([columns, ...rows])]),
    [...remarks(result, figures)].join('\n'),
    verdict(figures),
  ]
  return `${parts.filter(part => part !== '').join('\n\n')}\n`
}

/** The result with its figures and its verdict, as JSON of several lines. */
export function renderJson(result: BenchResult): string {
  const figures = allFigures(result)
  return `${JSON.stringify({ ...result, figures, verdict: verdict(figures) }, undefined, 2)}\n`
}

function allFigures({ modes }: BenchResult): Figures[] {
  return modes.map(figuresOf).filter(figures => figures !== undefined)
}

function describePlan({ plan, machine, versions }: BenchResult): string {
  const { clients, rounds } = plan
  const rounded = `${rounds} round${rounds === 1 ? '' : 's'} of ${seconds(plan.durationMs)}`
  return [
    `${plan.file}, GET ${plan.target}`,
    `${clients} client${clients === 1 ? '' : 's'}, ${rounded} in turn, medians of the rounds`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.system}, Node ${versions.node}, Postern ${versions.postern}`,
  ].join('\n')
}

function cellsOf(figures: Figures): string[] {
  const { title, rate, p50Ms, p99Ms, cpuSecondsPer1000, peakMiB, errors, wrong } = figures
  return [
    title,
    describeRate(rate),
    orUnknown(p50Ms, milliseconds),
    orUnknown(p99Ms, milliseconds),
    orUnknown(cpuSecondsPer1000, value => `${digits(value)} s`),
    orUnknown(peakMiB, value => `${value.toFixed(0)} MiB`),
    String(errors),
    String(wrong),
  ]
}

function describeRate({ median, least, greatest }: Spread): string {
  return `${digits(median)} (${digits(least)} to ${digits(greatest)})`
}

function orUnknown(value: number | undefined, write: (value: number) => string): string {
  return value === undefined ? '-' : write(value)
}

/** The first column to the left, numbers to the right. */
function renderTable(rows: readonly (readonly string[])[]): string {
  const widths = columns.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const align = (cell: string, column: number): string => {
    const width = widths[column] ?? 0
    return column === 0 ? cell.padEnd(width) : cell.padStart(width)
  }
  return rows.map(row => row.map(align).join('  ')).join('\n')
}

function* remarks(result: BenchResult, figures: readonly Figures[]): Generator<string> {
  if (!result.complete) yield 'Ended early: not all rounds were run.'
  for (const { title, reason } of result.skipped) yield `${title} was not measured: ${reason}`
  if (result.modes.some(({ mode }) => mode !== 'cgi')) {
    const { workers } = result.plan
    yield `FastCGI: ${workers} worker${workers === 1 ? '' : 's'}, started before the first round.`
  }
  if (result.comparison !== 'body') {
    yield 'The answer is never the same twice: only its status and type were checked.'
  }
  for (const { title, loadGeneratorCpu } of figures) {
    if (loadGeneratorCpu < saturatedShare) continue
    const share = (100 * loadGeneratorCpu).toFixed(0)
    yield `The load generator used ${share} % of a core with ${title}: the server may be faster than that.`
  }
}
