/**
 * The HTTP server of `test/fixtures/programs/proxy/behaviours.mjs` in a process of its own, for proxy routes.
 */
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { startProcess } from './fastcgi-process.js'
import type { TempRoot } from './temp-root.js'

const program = fileURLToPath(new URL('../fixtures/programs/proxy/behaviours.mjs', import.meta.url))

/** Starts it at `<name>.sock` in the folder, and waits until it listens; killed in teardown. Gives its pid. */
export async function startHttpProgram(t: Test, root: TempRoot, name: string): Promise<number> {
  const child = startProcess(t, [
    ...[process.execPath, program, `${root.path}/${name}.sock`, root.notes],
  ])
  await root.note(`ready-${name}`)
  return child.pid ?? 0
}
