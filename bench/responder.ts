/**
 * Node applications behind nginx: our FastCGI responder, plain node:http, and npm's node-fastcgi, which is
 * installed to a temporary folder for the run:
 *
 *   npx tsx bench/responder.ts [--clients 16] [--rounds 5] [--seconds 2] [--warm-up 1]
 *
 * Same handler, one process each, one nginx in front; cell by cell in turn. Prints Markdown on stdout, with
 * errors counted beside the speed, and progress on stderr.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { cpuSecondsOf, processTree } from '../src/bench/process-tree.js'
import { type ForegroundChild, startChild, until } from './child.js'
import { type LoadReport, runLoad } from './load.js'
import { freePort, isRoot } from './server.js'
import { compileC, fillTemplate, readTemplate } from './site.js'
import { median, medianRatio } from './stats.js'

const { values: flags } = parseArgs({
  options: {
    clients: { type: 'string', default: '16' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    'warm-up': { type: 'string', default: '1' },
  },
})

const answerBytes = 71
/** The ways to the applications: path below nginx, and with which of the others each is compared. */
const ways = [
  { name: 'responder', path: '/kept/', group: 'kept' },
  { name: 'node:http', path: '/http/', group: 'kept' },
  { name: 'node-fastcgi', path: '/node-fastcgi/', group: 'kept' },
  { name: 'responder', path: '/fresh/', group: 'per request' },
  { name: 'node:http', path: '/http-fresh/', group: 'per request' },
  { name: 'node-fastcgi', path: '/node-fastcgi-fresh/', group: 'per request' },
] as const
type Way = (typeof ways)[number]

const works = [
  { name: 'GET', postBytes: undefined },
  { name: 'POST 16 KiB', postBytes: 16_384 },
] as const

interface Lane {
  readonly way: Way
  readonly reports: LoadReport[]
  readonly cpuPer1000: number[]
}

await main()

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'postern-responder-'))
  chmodSync(directory, 0o755)
  const children: ForegroundChild[] = []
  const close = async (): Promise<void> => {
    await Promise.all(children.map(child => child.stop()))
    rmSync(directory, { recursive: true, force: true })
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void close().finally(() => process.exit(1)))
  }
  try {
    compileC('peers/load.c', join(directory, 'load'))
    const pids = await startApplications(directory, children)
    const port = await startNginx(directory, children)
    const blocks: string[] = []
    for (const work of works) {
      for (const clients of flags.clients.split(',').map(Number)) {
        const lanes = await measure(directory, port, clients, work.postBytes, pids)
        blocks.push(render(`${work.name}, ${clients} clients`, lanes))
      }
    }
    process.stdout.write(`${blocks.join('\n')}\n`)
  } finally {
    await close()
  }
}

/** Starts the three applications; name → pid. */
async function startApplications(
  directory: string,
  children: ForegroundChild[],
): Promise<Map<string, number>> {
  const npm = ['install', '--prefix', directory, '--no-audit', '--no-fund', 'node-fastcgi@2']
  execFileSync('npm', npm, { stdio: 'ignore' })
  const pids = new Map<string, number>()
  for (const [name, library, socket] of [
    ['responder', 'responder', 'responder.sock'],
    ['node:http', 'http', 'http.sock'],
    ['node-fastcgi', join(directory, 'node_modules', 'node-fastcgi'), 'node-fastcgi.sock'],
  ] as const) {
    const program = join(import.meta.dirname, 'peers', 'responder-app.mjs')
    const path = join(directory, socket)
    const args = ['--import', import.meta.resolve('tsx'), program, library, path]
    const options = { outputFile: join(directory, `${socket}.log`), cwd: directory }
    const child = await startChild(process.execPath, args, options)
    children.push(child)
    pids.set(name, child.pid)
    await until(
      () => existsSync(path),
      () => child.ended() ?? `${name} does not listen`,
    )
  }
  return pids
}

async function startNginx(directory: string, children: ForegroundChild[]): Promise<number> {
  const port = await freePort()
  const values = { DIR: directory, PORT: String(port), USER: isRoot ? 'root' : 'nobody' }
  const config = join(directory, 'nginx.conf')
  writeFileSync(config, fillTemplate(readTemplate('responder-nginx.conf'), values))
  const args = ['-p', directory, '-e', join(directory, 'error.log'), '-c', config]
  const options = { outputFile: join(directory, 'nginx.log'), cwd: directory }
  const child = await startChild('/usr/sbin/nginx', args, options)
  children.push(child)
  await until(
    () => answersEverywhere(port),
    () => child.ended() ?? 'nginx does not answer everywhere',
  )
  return port
}

async function answersEverywhere(port: number): Promise<boolean> {
  for (const { path } of ways) {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`).catch(() => undefined)
    if (answer?.status !== 200 || (await answer.text()).length !== answerBytes) return false
  }
  return true
}

async function measure(
  directory: string,
  port: number,
  clients: number,
  postBytes: number | undefined,
  pids: ReadonlyMap<string, number>,
): Promise<Lane[]> {
  const lanes: Lane[] = ways.map(way => ({ way, reports: [], cpuPer1000: [] }))
  const load = (way: Way, seconds: number): Promise<LoadReport> =>
    runLoad(join(directory, 'load'), {
      ...{ port, path: way.path, clients, seconds, postBytes, answerBytes },
    })
  for (const { way } of lanes) await load(way, Number(flags['warm-up']))
  for (let round = 1; round <= Number(flags.rounds); round++) {
    for (const { way, reports, cpuPer1000 } of lanes) {
      const roots = [pids.get(way.name) ?? 0]
      const before = cpuSecondsOf(processTree(...roots))
      const report = await load(way, Number(flags.seconds))
      reports.push(report)
      const thousands = (report.requests + report.drained) / 1000
      cpuPer1000.push((cpuSecondsOf(processTree(...roots)) - before) / thousands)
      process.stderr.write(`${clients} clients, round ${round}: ${way.path} ${rateOf(report)}/s\n`)
    }
  }
  return lanes
}

function rateOf({ requests, seconds }: LoadReport): number {
  return Math.round(requests / seconds)
}

function render(title: string, lanes: readonly Lane[]): string {
  const rows = lanes.map(({ way, reports, cpuPer1000 }) => {
    const responder = lanes.find(
      lane => lane.way.group === way.group && lane.way.name === 'responder',
    )
    const rates = reports.map(rateOf)
    const ratio = medianRatio(responder?.reports.map(rateOf) ?? [], [rates])
    const p99 = median(reports.map(report => report.p99Ms))
    const failures = reports.reduce((sum, { errors, wrong }) => sum + errors + wrong, 0)
    return [
      ...[way.name, way.group, String(Math.round(median(rates))), p99.toFixed(1)],
      ...[median(cpuPer1000).toFixed(3), String(failures), ratio?.toFixed(2) ?? ''],
    ]
  })
  const head = [
    ...['Application', 'Connections', 'req/s', 'p99 ms', 'CPU s per 1000', 'errors'],
    'responder ÷ this',
  ]
  const table = [head, head.map(() => '---'), ...rows]
  return `### ${title}\n\n${table.map(cells => `| ${cells.join(' | ')} |`).join('\n')}\n`
}
