/**
 * Warm CGI against fresh processes, for the scripts it is meant for: `npx tsx bench/warm.ts [seconds] [rounds]`.
 *
 * Two servers of the built Postern with the same scripts, one with `warm: true`, take turns. Prints a Markdown table:
 * requests per second, median with least and greatest round, and the median of the ratios round by round; and the same
 * ratio for the CPU time of a request, in which other work on the machine does not show: it takes more from one fork
 * server than from sixteen processes. Errors and wrong answers end it. What it does not say: how long the first request takes, which starts the fork server.
 */
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cpuSecondsOf, processTree } from '../src/bench/process-tree.js'
import { until } from './child.js'
import { runLoad } from './load.js'
import { startPostern } from './postern.js'
import { freePort, type RunningServer } from './server.js'
import { buildSite, type Site } from './site.js'
import { medianRatio, spread } from './stats.js'

const scripts = ['hello.py', 'imports.py', 'hello.pl', 'cgi-pm.pl']
const modes = ['fresh', 'warm'] as const
type Mode = (typeof modes)[number]
const clients = 16
const answerBytes = 'Hello, world\n'.length

function fill(root: string): void {
  const cgiBin = join(root, 'cgi-bin')
  mkdirSync(cgiBin)
  for (const name of scripts) {
    copyFileSync(join(import.meta.dirname, 'programs', name), join(cgiBin, name))
    chmodSync(join(cgiBin, name), 0o755)
  }
}

async function start(site: Site, mode: Mode): Promise<RunningServer> {
  const directory = site.serverDirectory(mode)
  const port = await freePort()
  const route = { path: '/cgi-bin/', cgi: join(site.root, 'cgi-bin'), warm: mode === 'warm' }
  const config = { listen: `127.0.0.1:${port}`, log: { access: 'off' }, routes: [route] }
  const file = join(directory, 'postern.json')
  writeFileSync(file, JSON.stringify(config))
  const server = await startPostern(site, directory, port, ['-c', file])
  await until(
    () => answers(port),
    () => server.ended() ?? 'postern does not answer',
  )
  return server
}

async function answers(port: number): Promise<boolean> {
  return await fetch(`http://127.0.0.1:${port}/`).then(
    () => true,
    () => false,
  )
}

/** One round. */
interface Round {
  readonly perSecond: number
  /** Of everything that the server is made of. */
  readonly perCpuSecond: number
}

/** @throws Error when an answer is wrong or missing */
async function measure(
  site: Site,
  { port, pids }: RunningServer,
  script: string,
  seconds: number,
): Promise<Round> {
  const cpuBefore = cpuSecondsOf(processTree(...pids))
  const path = `/cgi-bin/${script}`
  const request = { port, path, clients, seconds, postBytes: undefined, answerBytes }
  const report = await runLoad(join(site.tools, 'load'), request)
  if (report.errors + report.wrong > 0) {
    throw new Error(`${script}: ${report.errors} errors, ${report.wrong} wrong answers`)
  }
  const cpu = cpuSecondsOf(processTree(...pids)) - cpuBefore
  return {
    perSecond: report.requests / report.seconds,
    perCpuSecond: (report.requests + report.drained) / cpu,
  }
}

async function compare(site: Site, seconds: number, rounds: number): Promise<void> {
  const servers = [await start(site, 'fresh'), await start(site, 'warm')]
  try {
    console.log(`| script | ${modes.join(' | ')} | ratio | CPU ratio |\n|---|---|---|---|---|`)
    for (const script of scripts) {
      const measured: Round[][] = servers.map(() => [])
      for (const server of servers) await measure(site, server, script, Math.min(1, seconds))
      for (let round = 0; round < rounds; round++) {
        for (const [i, server] of servers.entries()) {
          measured[i]?.push(await measure(site, server, script, seconds))
        }
      }
      console.log(rowOf(script, measured))
    }
  } finally {
    for (const server of servers) await server.stop()
  }
}

function rowOf(script: string, measured: readonly (readonly Round[])[]): string {
  const [fresh = [], warm = []] = measured.map(rounds => rounds.map(({ perSecond }) => perSecond))
  const [freshCpu = [], warmCpu = []] = measured.map(rounds =>
    rounds.map(({ perCpuSecond }) => perCpuSecond),
  )
  const ratios = [medianRatio(warm, [fresh]), medianRatio(warmCpu, [freshCpu])]
  const cells = [shown(fresh), shown(warm), ...ratios.map(ratio => ratio?.toFixed(1) ?? '?')]
  return `| ${[script, ...cells].join(' | ')} |`
}

function shown(rates: readonly number[]): string {
  const { median, min, max } = spread(rates)
  return `${median.toFixed(0)} (${min.toFixed(0)} to ${max.toFixed(0)})`
}

const [seconds = '2', rounds = '5'] = process.argv.slice(2)
if (!(Number(seconds) > 0 && Number(rounds) >= 1)) throw new Error('warm.ts [seconds] [rounds]')
const site = buildSite(fill)
try {
  await compare(site, Number(seconds), Number(rounds))
} finally {
  site.remove()
}
