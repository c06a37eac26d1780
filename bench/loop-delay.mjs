/**
 * Loaded into Postern with --import: how long its event loop is held up. Writes one file per process into the
 * directory of POSTERN_BENCH_LOOP_DELAY at the start, at each SIGUSR2 and at exit, then begins anew.
 *
 * The file at the start tells the bench which processes of the tree may be signalled: a CGI program would
 * die of SIGUSR2.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'

/** A timer of this period is what the histogram measures; its period is part of every value. */
const RESOLUTION_MS = 10

const directory = process.env.POSTERN_BENCH_LOOP_DELAY
if (directory && isMainThread) watch(directory)

function watch(directory) {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  const path = `${directory}/loop-delay-${process.pid}.json`
  let written = 0
  const write = () => {
    const report = {
      written: ++written,
      p99Ms: delay(histogram.percentile(99)),
      maxMs: delay(histogram.max),
    }
    writeFileSync(`${path}.new`, JSON.stringify(report))
    renameSync(`${path}.new`, path)
    histogram.reset()
  }
  histogram.enable()
  write()
  process.on('SIGUSR2', write)
  process.on('exit', write)
}

function delay(nanoseconds) {
  return Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS)
}
