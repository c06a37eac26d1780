/**
 * Programs of others that some tests run with: python3, perl, git, gitweb.
 *
 * Where one is missing the test is skipped by its name; with REQUIRE_PEERS=1 a missing one is a failure,
 * so that a CI machine cannot pass by having nothing installed.
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Test } from 'tap'

/**
 * Absolute path of a peer, or undefined after the test was told to skip (or to fail, under REQUIRE_PEERS=1).
 * @param places looked at after PATH, whole file names
 */
export function peer(t: Test, name: string, places: readonly string[] = []): string | undefined {
  const found = findOnPath(name) ?? places.find(isExecutable)
  if (found !== undefined) return found
  missing(t, name)
  return undefined
}

/** Says that a peer is missing: a skip by name, or a failure under REQUIRE_PEERS=1. */
export function missing(t: Test, name: string): void {
  if (process.env.REQUIRE_PEERS === '1') {
    t.fail(`${name} is not installed, and REQUIRE_PEERS=1 wants it`)
    return
  }
  t.pass(`${name} is not installed`, { skip: `${name} is not installed` })
}

/** Absolute path of a program on PATH, or undefined. */
export function findOnPath(name: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter(folder => folder !== '')
    .map(folder => join(folder, name))
    .find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
