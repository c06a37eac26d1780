/**
 * A result as text and as JSON.
 */
import t from 'tap'
import { renderJson, renderText } from '../../src/bench/render.js'
import type { BenchResult, Sample } from '../../src/bench/result.js'

const sample: Sample = {
  rate: 26,
  p50Ms: 590,
  p99Ms: 720,
  maxMs: 800,
  errors: 0,
  wrong: 0,
  cpuSecondsPer1000: 76.1,
  loadGeneratorCpu: 0.01,
}

const result: BenchResult = {
  format: 1,
  date: '2030-01-02T03:04:05.000Z',
  machine: {
    ...{ cpu: 'Some CPU', cores: 2, memoryMiB: 4096, system: 'Linux 6.1', architecture: 'x64' },
  },
  versions: { postern: '0.1.0', node: 'v20.19.0' },
  plan: {
    ...{ file: '/srv/app.mjs', target: '/bench/hello', durationMs: 3000, warmUpMs: 1000 },
    ...{ clients: 16, rounds: 2, workers: 2 },
  },
  answer: { status: 200, type: 'text/plain', length: 5, sha256: 'abc' },
  comparison: 'body',
  modes: [
    {
      ...{ mode: 'cgi', title: 'CGI', route: { path: '/bench', cgi: '/srv/app.mjs' } },
      ...{ rounds: [sample, { ...sample, rate: 24 }], peakMiB: 310.4 },
    },
    {
      ...{ mode: 'fastcgi', title: 'FastCGI', route: { path: '/bench' }, peakMiB: 98 },
      rounds: [
        { ...sample, rate: 5210, p50Ms: 2.91, p99Ms: 5.12, cpuSecondsPer1000: 0.31 },
        { ...sample, rate: 5000, p50Ms: 2.91, p99Ms: 5.12, cpuSecondsPer1000: 0.31 },
      ],
    },
  ],
  skipped: [],
  complete: true,
}

t.test('the text: what was measured, an aligned table, the verdict', async t => {
  t.equal(
    renderText(result),
    `/srv/app.mjs, GET /bench/hello
16 clients, 2 rounds of 3 s in turn, medians of the rounds
Some CPU, 2 cores, Linux 6.1, Node v20.19.0, Postern 0.1.0

mode              requests/s     p50     p99  CPU per 1000   memory  errors  wrong
CGI            25 (24 to 26)  590 ms  720 ms          76 s  310 MiB       0      0
FastCGI  5105 (5000 to 5210)  2.9 ms  5.1 ms        0.31 s   98 MiB       0      0

FastCGI: 2 workers, started before the first round.

FastCGI carries 204 times as many requests as CGI; a request costs 76 ms of CPU as CGI and 0.31 ms of CPU as FastCGI.
`,
  )
})

t.test('what is not known is a dash; one of anything is singular', async t => {
  const bare: Sample = {
    ...sample,
    p50Ms: undefined,
    p99Ms: undefined,
    cpuSecondsPer1000: undefined,
  }
  const text = renderText({
    ...result,
    plan: { ...result.plan, clients: 1, rounds: 1, workers: 1 },
    modes: [{ mode: 'fastcgi', title: 'FastCGI', route: {}, rounds: [bare], peakMiB: undefined }],
  })
  t.match(text, '\n1 client, 1 round of 3 s in turn')
  t.match(text, /^FastCGI {2}26 \(26 to 26\) +- +- +- +- +0 +0$/m)
  t.match(text, '\nFastCGI: 1 worker, started')
})

t.test('what a reader must know is said', async t => {
  const [cgi] = result.modes
  const text = renderText({
    ...result,
    modes: cgi === undefined ? [] : [{ ...cgi, rounds: [{ ...sample, loadGeneratorCpu: 0.9 }] }],
    skipped: [{ mode: 'fastcgi', title: 'FastCGI', reason: 'no koffi' }],
    comparison: 'status and type',
    complete: false,
  })
  t.match(text, '\nEnded early: not all rounds were run.\n')
  t.match(text, '\nFastCGI was not measured: no koffi\n')
  t.match(text, '\nThe answer is never the same twice: only its status and type were checked.\n')
  t.match(
    text,
    '\nThe load generator used 90 % of a core with CGI: the server may be faster than that.\n',
  )
  t.notMatch(text, 'workers')
})

t.test('before the first round there is no table', async t => {
  const [first] = result.modes
  const modes = first === undefined ? [] : [{ ...first, rounds: [] }]
  const text = renderText({ ...result, modes, complete: false })
  t.notMatch(text, 'requests/s')
  t.match(text, /\nNo round was finished, so there is no verdict\.\n$/)
})

t.test('the JSON has every round, the figures and the verdict', async t => {
  const json = renderJson(result)
  t.match(json, /\}\n$/)
  const parsed = JSON.parse(json)
  t.match(parsed, JSON.parse(JSON.stringify(result)))
  t.match(parsed.verdict, 'FastCGI carries 204 times')
  t.match(parsed.figures, [{ title: 'CGI', rate: { median: 25 } }, { title: 'FastCGI' }])
})
