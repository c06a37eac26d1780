/**
 * kill -9 of workers at random under load, and what became of every request:
 *
 *   npx tsx bench/chaos.ts [--seconds 30] [--workers 4] [--clients 16] [--least 100] [--most 200]
 *                          [--postern src/cli/main.ts]
 *
 * Starts the command with workers that note what they do, kills one every `--least` to `--most` milliseconds,
 * and checks each request against the notes (`chaos-verdict.ts`), then what is left: descriptors of the
 * server, and after its end processes and sockets. Prints one JSON object; exit code 1 when anything is wrong.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { readProc } from '../src/bench/process-tree.js'
import { WorkerNotes } from './chaos-notes.js'
import { type ChaosOptions, runChaos } from './chaos-run.js'
import { type ForegroundChild, startChild, until } from './child.js'

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    workers: { type: 'string', default: '4' },
    clients: { type: 'string', default: '16' },
    least: { type: 'string', default: '100' },
    most: { type: 'string', default: '200' },
    postern: { type: 'string', default: join(import.meta.dirname, '../src/cli/main.ts') },
  },
})
const workers = positive(flags.workers)

const folder = mkdtempSync(join(tmpdir(), 'postern-chaos-'))
const temporary = join(folder, 'tmp')
const output = join(folder, 'output')
const notes = new WorkerNotes(join(folder, 'notes'))
let server: ForegroundChild | undefined
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void end().finally(() => process.exit(1)))
}
try {
  const result = await main()
  process.stdout.write(`${JSON.stringify(result, null, 1)}\n`)
  process.exitCode = result.problems.length === 0 ? 0 : 1
} finally {
  await end()
}

async function main() {
  server = await start()
  const { pid } = server
  const origin = await originOf(server)
  await until(allReady, () => `the workers are not ready: ${readFileSync(output, 'utf8')}`)
  const descriptorsBefore = descriptorsOf(pid)
  const result = await runChaos({
    ...{ origin: `${origin}w`, notes, clients: positive(flags.clients), sentTo },
    durationMs: positive(flags.seconds) * 1_000,
    killEveryMs: [positive(flags.least), positive(flags.most)],
  })
  const problems = result.faults.flatMap(fault => [fault, ...linesAbout(fault)])
  // Each worker may have a connection now that had none then.
  const allowed = descriptorsBefore + workers
  await until(
    () => allReady() && descriptorsOf(pid) <= allowed,
    () => '',
  ).catch(() => {
    problems.push(`${descriptorsOf(pid)} descriptors, ${descriptorsBefore} before the run`)
  })
  const descriptorsAfter = descriptorsOf(pid)
  // To the server alone: its workers are its own to end.
  process.kill(pid, 'SIGTERM')
  await until(
    () => server?.ended() !== undefined,
    () => 'the server does not end',
  )
  const exit = server.ended() ?? ''
  if (!exit.includes('ended (0)')) problems.push(exit)
  const left = [...notes.workers].filter(isWorker)
  const sockets = readdirSync(temporary).filter(name => name.startsWith('postern-'))
  if (left.length > 0) problems.push(`processes are left: ${left.join(', ')}`)
  if (sockets.length > 0) problems.push(`sockets are left: ${sockets.join(', ')}`)
  const { requests, ends, killed } = result
  const kills = killed.length
  const started = result.workers
  return { requests, ends, kills, started, descriptorsBefore, descriptorsAfter, problems }
}

function start(): Promise<ForegroundChild> {
  mkdirSync(temporary, { mode: 0o700 })
  const program = join(import.meta.dirname, 'programs/noting-worker.mjs')
  const config = {
    listen: '127.0.0.1:0',
    log: { access: 'json', level: 'info' },
    env: { set: { NOTES: join(folder, 'notes') } },
    routes: [{ path: '/w/', fastcgi: { command: [process.execPath, program], workers } }],
  }
  writeFileSync(join(folder, 'postern.json'), JSON.stringify(config))
  const main = resolve(flags.postern)
  const loader = main.endsWith('.ts') ? [`--import=${import.meta.resolve('tsx')}`] : []
  const env = { TMPDIR: temporary, XDG_RUNTIME_DIR: temporary }
  const words = ['serve', '-c', join(folder, 'postern.json')]
  return startChild(process.execPath, [...loader, main, ...words], {
    ...{ outputFile: output, cwd: folder, env },
  })
}

/** The URL of the server's first line. */
async function originOf(child: ForegroundChild): Promise<string> {
  let found: string | undefined
  await until(
    () => {
      const ended = child.ended()
      if (ended !== undefined) throw new Error(ended)
      found = /on (http:\/\/\S+\/)/.exec(readFileSync(output, 'utf8'))?.[1]
      return found !== undefined
    },
    () => `the server does not start: ${readFileSync(output, 'utf8')}`,
  )
  return found ?? ''
}

function allReady(): boolean {
  notes.read()
  return [...notes.workers].filter(isWorker).length === workers
}

function isWorker(pid: number): boolean {
  return readProc(`${pid}/cmdline`)?.includes('noting-worker') === true
}

function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** By the access line of the request and the line about the end of the worker that it names. */
function sentTo(id: string): ReturnType<ChaosOptions['sentTo']> {
  const lines = readFileSync(output, 'utf8').split('\n')
  const entry = lines.find(line => line.includes(`/${id}"`) && line.includes('"wallMs"'))
  if (entry === undefined) return undefined
  const { script } = JSON.parse(entry)
  const failed = lines.find(
    line => line.includes('a worker failed') && line.includes(`"worker":"${script}"`),
  )
  // The line has two: the server's own and, behind it, that of the worker. The last one counts.
  return failed === undefined ? undefined : Number(JSON.parse(failed).pid)
}

/** What the server's log has on a request. */
function linesAbout(fault: string): string[] {
  const id = /\/(\S+):/.exec(fault)?.[1]
  if (id === undefined) return []
  const lines = readFileSync(output, 'utf8').split('\n')
  return lines.filter(line => line.includes(`/${id}"`))
}

async function end(): Promise<void> {
  await server?.stop()
  // Nobody else would end the workers of a server that did not.
  for (const pid of notes.workers) if (isWorker(pid)) process.kill(pid, 'SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}

function positive(text: string): number {
  const number = Number(text)
  if (!(number > 0)) throw new Error(`${text}: not a positive number`)
  return number
}
