/**
 * One cell: a row at one number of clients, all servers in turn, round by round, so that a disturbance from
 * outside meets everyone. Idle servers keep running and are quiet.
 *
 * Memory is sampled while warming up and between rounds, because reading that of a hundred processes would
 * cost a measured round some of its CPU.
 */
import { join } from 'node:path'
import { memoryMiBOf } from '../src/bench/process-memory.js'
import { cpuSecondsOf, processTree } from '../src/bench/process-tree.js'
import { CEILING } from './contenders.js'
import { type LoadReport, runLoad, runSpawnLoop } from './load.js'
import { countsChildren, machineCpuSeconds } from './process-tree.js'
import type { Cell, Sample, Series } from './result.js'
import type { Row } from './rows.js'
import type { Contender, RunningServer } from './server.js'
import type { Site } from './site.js'

export interface Plan {
  readonly rounds: number
  /** Length of a round. */
  readonly seconds: number
  readonly warmUpSeconds: number
  /** Processors of the machine. */
  readonly cores: number
  /** The spawn loop takes its turn in each round. */
  readonly ceiling: boolean
}

export interface Participant {
  readonly contender: Contender
  readonly server: RunningServer
}

/** A contender at work; the list of them is gone through once per round. */
interface Lane {
  readonly server: string
  readonly side: Series['side']
  readonly samples: Sample[]
  readonly memory: number[]
  readonly measure: () => Promise<Sample>
  /** Undefined for the ceiling, which has no server. */
  readonly pids: readonly number[] | undefined
}

const MEMORY_INTERVAL_MS = 250
const MiB = 2 ** 20

/** Warms up, then measures; throws when a server has ended or cannot be reached. */
export async function measureCell(
  site: Site,
  row: Row,
  clients: number,
  participants: readonly Participant[],
  plan: Plan,
  progress: (line: string) => void,
): Promise<Cell> {
  const lanes: Lane[] = participants.map(({ contender, server }) => ({
    server: contender.name,
    side: contender.side,
    samples: [],
    memory: [],
    measure: () => measureServer(site, row, clients, server, plan),
    pids: server.pids,
  }))
  for (const [index, { server }] of participants.entries()) {
    await warmUp(site, row, clients, server, plan, lanes[index]?.memory ?? [])
  }
  if (plan.ceiling) lanes.push(ceilingLane(site, plan))
  for (let round = 1; round <= plan.rounds; round++) {
    for (const lane of lanes) {
      const sample = await lane.measure()
      lane.samples.push(sample)
      if (lane.pids) lane.memory.push(memoryMiBOf(processTree(...lane.pids)))
      progress(
        `${row.name} ×${clients} round ${round}: ${lane.server} ${sample.rate.toFixed(0)} ${row.unit}`,
      )
    }
  }
  return {
    row: row.name,
    unit: row.unit,
    clients,
    series: lanes.map(({ server, side, samples, memory }) => ({
      server,
      side,
      samples,
      peakMiB: memory.length === 0 ? undefined : Math.max(...memory),
    })),
  }
}

async function warmUp(
  site: Site,
  row: Row,
  clients: number,
  server: RunningServer,
  plan: Plan,
  memory: number[],
): Promise<void> {
  const timer = setInterval(
    () => memory.push(memoryMiBOf(processTree(...server.pids))),
    MEMORY_INTERVAL_MS,
  )
  try {
    await load(site, row, clients, server, plan.warmUpSeconds)
  } finally {
    clearInterval(timer)
  }
}

async function measureServer(
  site: Site,
  row: Row,
  clients: number,
  server: RunningServer,
  plan: Plan,
): Promise<Sample> {
  await server.loopDelay?.take()
  const from = performance.now()
  const machineBefore = machineCpuSeconds()
  const treeBefore = cpuSecondsOf(processTree(...server.pids))
  const report = await load(site, row, clients, server, plan.seconds)
  const tree = cpuSecondsOf(processTree(...server.pids)) - treeBefore
  const machine = machineCpuSeconds() - machineBefore
  const elapsed = (performance.now() - from) / 1000
  const loopDelay = await server.loopDelay?.take()
  const ended = server.ended()
  if (ended !== undefined) throw new Error(ended)
  const thousands = (report.requests + report.drained + report.wrong) / 1000
  const whole = countsChildren(server.pids)
  return {
    rate: rate(row, report),
    p50Ms: report.p50Ms,
    p99Ms: report.p99Ms,
    errors: report.errors,
    wrong: report.wrong,
    starved: report.starved,
    cpuPer1000: whole ? tree / thousands : undefined,
    machineCpuPer1000: (machine - report.cpuSeconds) / thousands,
    foreignCpu: whole ? share(machine - tree - report.cpuSeconds, elapsed, plan.cores) : undefined,
    loopDelay,
  }
}

function load(
  site: Site,
  row: Row,
  clients: number,
  server: RunningServer,
  seconds: number,
): Promise<LoadReport> {
  const { path, postBytes, answerBytes } = row
  const { port } = server
  return runLoad(join(site.tools, 'load'), { port, path, clients, seconds, postBytes, answerBytes })
}

function ceilingLane(site: Site, plan: Plan): Lane {
  const measure = async (): Promise<Sample> => {
    const machineBefore = machineCpuSeconds()
    const report = await runSpawnLoop(
      join(site.tools, 'spawn-loop'),
      join(site.root, 'cgi-bin', 'hello'),
      plan.seconds,
    )
    const machine = machineCpuSeconds() - machineBefore
    return {
      rate: report.starts / report.seconds,
      p50Ms: undefined,
      p99Ms: undefined,
      errors: 0,
      wrong: 0,
      starved: 0,
      cpuPer1000: (1000 * report.cpuSeconds) / report.starts,
      machineCpuPer1000: (1000 * machine) / report.starts,
      foreignCpu: share(machine - report.cpuSeconds, report.seconds, plan.cores),
      loopDelay: undefined,
    }
  }
  return { server: CEILING, side: 'ceiling', samples: [], memory: [], measure, pids: undefined }
}

/** Wrong answers do not count as speed; in a row of bytes one of them spoils the round. */
function rate(row: Row, report: LoadReport): number {
  if (row.unit === 'req/s') return report.requests / report.seconds
  return report.wrong > 0 ? 0 : report.bytes / MiB / report.seconds
}

function share(cpuSeconds: number, elapsed: number, cores: number): number {
  return Math.max(0, cpuSeconds / (elapsed * cores))
}
