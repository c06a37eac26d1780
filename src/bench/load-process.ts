/**
 * The load generator as a process of its own, so that it takes no time from the event loop that measures: plans as
 * lines of JSON on stdin, a report as a line of JSON on stdout for each, one round at a time.
 *
 * It ends when its stdin ends, whatever is under way: with the benchmark that started it, however that ended.
 */
import { createInterface } from 'node:readline'
import { type LoadPlan, runLoad } from './load.js'

const gone = new AbortController()
process.stdin.once('close', () => gone.abort())

for await (const line of createInterface({ input: process.stdin })) {
  const report = await runLoad(JSON.parse(line) as LoadPlan, gone.signal)
  process.stdout.write(`${JSON.stringify(report)}\n`)
}
