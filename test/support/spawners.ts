/**
 * The spawners of this machine, chosen as the server chooses them, and tests that run once with each.
 *
 * A spawner is made once per test process and kept: it holds descriptors for as long as the process
 * lives, which must not look like a leak of the server under test.
 */
import type { Test } from 'tap'
import { chooseSpawner } from '../../src/process/choose.js'
import type { Spawner } from '../../src/process/spawner.js'

/** What POSTERN_SPAWN may say; `default` leaves the choice to the machine. */
export type SpawnerName = 'default' | 'posix' | 'node'

const made = new Map<SpawnerName, Promise<Spawner>>()

/** The spawner of that name; POSTERN_SPAWN of the environment rules over `default`. */
export function spawnerNamed(name: SpawnerName): Promise<Spawner> {
  const spawner = made.get(name) ?? make(name)
  made.set(name, spawner)
  return spawner
}

/** Runs the subtest with the default spawner, and again with `node` where the default is another. */
export async function eachSpawner(
  t: Test,
  name: string,
  body: (t: Test, spawner: SpawnerName) => Promise<void>,
): Promise<void> {
  const { name: chosen } = await spawnerNamed('default')
  await t.test(`${name} (${chosen})`, t => body(t, 'default'))
  if (chosen !== 'node') await t.test(`${name} (node)`, t => body(t, 'node'))
}

async function make(name: SpawnerName): Promise<Spawner> {
  const env = name === 'default' ? process.env : { ...process.env, POSTERN_SPAWN: name }
  const { spawner } = await chooseSpawner(env)
  await warmUp(spawner)
  return spawner
}

/** One start, so that what a spawner opens at its first use is there before anybody counts. */
async function warmUp(spawner: Spawner): Promise<void> {
  const child = await spawner.spawn({
    file: '/bin/sh',
    argv: ['sh', '-c', ':'],
    env: [],
    cwd: '/',
    stdin: 'none',
  })
  const ended = [child.stdout, child.stderr].map(
    pipe => new Promise<void>(resolve => pipe.start(() => {}, resolve)),
  )
  await Promise.all([child.exited, ...ended])
  for (const pipe of [child.stdout, child.stderr]) pipe.close()
}
