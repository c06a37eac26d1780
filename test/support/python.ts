/**
 * Python for tests: an interpreter that has the modules a test needs.
 *
 * Debian's packages belong to /usr/bin/python3, which need not be the first python3 on PATH.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { findOnPath, missing } from './peers.js'

/** Folder of the WSGI applications that tests run: `rows`, `behaviours`, `flask_app`, `django_site`. */
export const wsgiPrograms = fileURLToPath(new URL('../fixtures/programs/wsgi', import.meta.url))

/**
 * Absolute path of a python3 that can import all of `modules`, or undefined after the test was told to skip
 * (or to fail, under REQUIRE_PEERS=1).
 */
export function pythonWith(t: Test, ...modules: readonly string[]): string | undefined {
  const candidates = [findOnPath('python3'), '/usr/bin/python3'].filter(file => file !== undefined)
  const found = [...new Set(candidates)].find(file => canImport(file, modules))
  if (found !== undefined) return found
  missing(t, ['python3', ...modules].join(' with '))
  return undefined
}

function canImport(python: string, modules: readonly string[]): boolean {
  try {
    // Isolated: what lies in the working directory is no module of the interpreter.
    execFileSync(python, ['-I', '-c', `import sys${modules.map(name => `, ${name}`).join('')}`], {
      stdio: 'pipe',
    })
    return true
  } catch {
    return false
  }
}
