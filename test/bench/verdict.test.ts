/**
 * Rounds → figures → one sentence: nothing is claimed that the rounds do not show.
 */
import t from 'tap'
import { type Figures, figuresOf, median } from '../../src/bench/figures.js'
import { sampleOf } from '../../src/bench/lane.js'
import { digits, milliseconds, seconds } from '../../src/bench/numbers.js'
import type { Sample } from '../../src/bench/result.js'
import { verdict } from '../../src/bench/verdict.js'

const sample: Sample = {
  rate: 100,
  p50Ms: 1,
  p99Ms: 2,
  maxMs: 3,
  errors: 0,
  wrong: 0,
  cpuSecondsPer1000: 1,
  loadGeneratorCpu: 0.1,
}

function figures(title: string, rates: readonly number[], changes: Partial<Sample> = {}): Figures {
  const rounds = rates.map(rate => ({ ...sample, ...changes, rate }))
  const result = figuresOf({ mode: 'cgi', title, route: {}, rounds, peakMiB: 40 })
  if (result === undefined) throw new Error('no round')
  return result
}

t.test('a report of the load generator becomes a sample', async t => {
  const report = {
    ...{ seconds: 2, requests: 396, drained: 3, errors: 5, wrong: 1 },
    ...{ p50Ms: 1, p99Ms: 2, maxMs: 3, cpuSeconds: 0.5 },
  }
  t.same(sampleOf(report, 0.8), {
    ...{ rate: 198, p50Ms: 1, p99Ms: 2, maxMs: 3, errors: 5, wrong: 1 },
    cpuSecondsPer1000: 2,
    loadGeneratorCpu: 0.25,
  })
  t.equal(sampleOf(report, undefined).cpuSecondsPer1000, undefined)
  const nothing = { ...report, requests: 0, drained: 0, wrong: 0 }
  t.equal(sampleOf(nothing, 0.8).cpuSecondsPer1000, undefined, 'never divided by zero')
})

t.test('medians, spread and sums', async t => {
  t.equal(median([]), undefined)
  t.equal(median([3]), 3)
  t.equal(median([10, 9]), 9.5)
  t.equal(median([10, 9, 100]), 10)
  const rounds = [
    { ...sample, rate: 5, errors: 1, loadGeneratorCpu: 0.2 },
    { ...sample, rate: 9, errors: 2, p50Ms: undefined },
    { ...sample, rate: 7, wrong: 4, p50Ms: 3 },
  ]
  t.same(figuresOf({ mode: 'cgi', title: 'CGI', route: {}, rounds, peakMiB: undefined }), {
    title: 'CGI',
    rate: { median: 7, least: 5, greatest: 9 },
    p50Ms: 2,
    p99Ms: 2,
    cpuSecondsPer1000: 1,
    peakMiB: undefined,
    errors: 3,
    wrong: 4,
    loadGeneratorCpu: 0.2,
  })
  t.equal(figuresOf({ mode: 'cgi', title: '', route: {}, rounds: [], peakMiB: 1 }), undefined)
})

t.test('how many times as many, and what a request costs', async t => {
  const cgi = figures('CGI', [100, 90, 110], { cpuSecondsPer1000: 3.14 })
  const fastcgi = figures('FastCGI', [1200, 1100, 1300], { cpuSecondsPer1000: 0.2 })
  const sentence =
    'FastCGI carries 12 times as many requests as CGI; ' +
    'a request costs 3.1 ms of CPU as CGI and 0.20 ms of CPU as FastCGI.'
  t.equal(verdict([cgi, fastcgi]), sentence)
  t.match(verdict([fastcgi, cgi]), /^FastCGI carries 12 times as many requests as CGI;/)
  const { cpuSecondsPer1000: _, ...without } = cgi
  t.equal(
    verdict([{ ...without, cpuSecondsPer1000: undefined }, fastcgi]),
    'FastCGI carries 12 times as many requests as CGI.',
    'where the system does not tell, nothing is said of CPU',
  )
})

t.test('where rounds overlap there is no difference', async t => {
  const slow = figures('CGI', [100, 90, 110])
  t.match(verdict([slow, figures('FastCGI', [115, 110, 120])]), /^no difference shown between CGI/)
  t.match(verdict([slow, figures('FastCGI', [115, 111, 120])]), /^FastCGI carries 1\.1 times/)
  t.match(verdict([slow, figures('FastCGI', [100, 90, 110])]), /^no difference/)
})

t.test('one mode stands for itself', async t => {
  t.equal(
    verdict([figures('CGI', [593])]),
    'CGI carries 593 requests/s here and costs 1.0 ms of CPU per request.',
  )
  t.equal(verdict([]), 'No round was finished, so there is no verdict.')
})

t.test('with errors or wrong answers speed is worth nothing', async t => {
  const good = figures('CGI', [10])
  t.equal(
    verdict([good, figures('FastCGI', [1000, 1000], { errors: 2, wrong: 1 })]),
    'FastCGI had 4 requests without an answer and 2 wrong answers: no verdict on speed.',
  )
  t.match(verdict([figures('CGI', [10], { wrong: 1 })]), 'no verdict on speed')
})

t.test('numbers as a reader can use them', async t => {
  t.same([5210.4, 49.4, 9.95, 9.94, 3.14, 1, 0.3149, 0.0312, 0].map(digits), [
    ...['5210', '49', '10', '9.9', '3.1', '1.0', '0.31', '0.031', '0'],
  ])
  t.same([0.42, 2.94, 590, 9_949, 12_345].map(milliseconds), [
    ...['0.42 ms', '2.9 ms', '590 ms', '9949 ms', '12 s'],
  ])
  t.same([3_000, 500, 1_250].map(seconds), ['3 s', '0.5 s', '1.3 s'])
})
