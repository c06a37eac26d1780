/**
 * Postern beside other servers on the same work and the same machine:
 *
 *   npx tsx bench/compare.ts [--suite cgi|fastcgi|wsgi|sockets|proxy|growth]
 *                            [--rows hello-c,…] [--clients 1,16,64]
 *                            [--servers postern,nginx,…] [--rounds 5] [--seconds 2] [--warm-up 1]
 *                            [--postern dist/cli/main.js] [--json FILE]
 *
 * Starts every server, checks that all give the same answer, measures cell by cell, prints Markdown on
 * stdout and progress on stderr. Needs what `scripts/install-peers.sh` installs, and `npm run build`.
 */
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { until } from './child.js'
import { describeMachine, type Machine } from './machine.js'
import { measureCell, type Participant } from './measure.js'
import { renderReport } from './report.js'
import type { Cell } from './result.js'
import type { Row } from './rows.js'
import { type Answer, ask, requireSame } from './same-answer.js'
import { buildSite, type Site } from './site.js'
import { type Suite, suites } from './suites.js'

const { values: flags } = parseArgs({
  options: {
    suite: { type: 'string', default: 'cgi' },
    rows: { type: 'string' },
    clients: { type: 'string' },
    servers: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    'warm-up': { type: 'string', default: '1' },
    postern: { type: 'string' },
    json: { type: 'string' },
  },
})

const suite = suiteOf(flags.suite)
const serverNames = suite.contenders.map(({ name }) => name)

const options = {
  rows: choose(
    flags.rows,
    suite.rows.map(({ name }) => name),
  ),
  servers: choose(flags.servers, suite.ceiling ? [...serverNames, suite.ceiling] : serverNames),
  clients: flags.clients?.split(',').map(positive),
  rounds: positive(flags.rounds),
  seconds: positive(flags.seconds),
  warmUpSeconds: positive(flags['warm-up']),
}

await main()

async function main(): Promise<void> {
  const machine = describeMachine()
  const site = buildSite(suite.fillRoot, flags.postern && resolve(flags.postern))
  const participants: Participant[] = []
  const close = async () => {
    await Promise.all(participants.map(({ server }) => server.stop()))
    site.remove()
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void close().finally(() => process.exit(1)))
  }
  try {
    await startAll(site, participants)
    const chosen = suite.rows.filter(({ name }) => options.rows.includes(name))
    for (const row of chosen) await checkAnswers(row, participants)
    const cells: Cell[] = []
    for (const row of chosen) {
      for (const clients of clientsOf(row)) {
        cells.push(await measureCell(site, row, clients, participants, planOf(row, machine), say))
      }
    }
    const { rounds, seconds } = options
    const result = { machine, date: new Date().toISOString(), rounds, seconds, cells }
    if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(result, null, 1)}\n`)
    process.stdout.write(renderReport(result))
  } finally {
    await close()
  }
}

/** Adds to `participants` one by one, so that what has been started is known when a start fails. */
async function startAll(site: Site, participants: Participant[]): Promise<void> {
  const [probe] = suite.rows
  if (!probe) throw new Error('no rows')
  for (const contender of suite.contenders) {
    if (!options.servers.includes(contender.name)) continue
    const server = await contender.start(site)
    participants.push({ contender, server })
    await until(
      async () => {
        const ended = server.ended()
        if (ended !== undefined) throw new Error(ended)
        const answer = await ask(server.port, probe).catch(() => undefined)
        return answer?.status === 200
      },
      () => `${contender.name} does not answer`,
    )
    say(`${contender.name} listens on port ${server.port}`)
  }
}

async function checkAnswers(row: Row, participants: readonly Participant[]): Promise<void> {
  const answers = new Map<string, Answer>()
  for (const { contender, server } of participants) {
    answers.set(contender.name, await ask(server.port, row))
  }
  requireSame(row, answers)
}

function clientsOf(row: Row): readonly number[] {
  const wanted = options.clients ?? row.clients
  return [...new Set(wanted.map(count => Math.min(count, row.maxClients)))]
}

function planOf(row: Row, machine: Machine) {
  const { rounds, seconds, warmUpSeconds } = options
  const ceiling = row.name === 'hello-c' && options.servers.some(name => name === suite.ceiling)
  return { rounds, seconds, warmUpSeconds, cores: machine.cores, ceiling }
}

function suiteOf(name: string): Suite {
  const found = Object.hasOwn(suites, name) ? suites[name] : undefined
  if (!found) throw new Error(`${name}: not one of ${Object.keys(suites).join(', ')}`)
  return found
}

/** All that are known when nothing is said. */
function choose(list: string | undefined, known: readonly string[]): readonly string[] {
  if (list === undefined) return known
  const chosen = list.split(',')
  const unknown = chosen.find(name => !known.includes(name))
  if (unknown !== undefined) throw new Error(`${unknown}: not one of ${known.join(', ')}`)
  return chosen
}

function positive(text: string): number {
  const number = Number(text)
  if (!(number > 0)) throw new Error(`${text}: not a positive number`)
  return number
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}
