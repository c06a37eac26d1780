/**
 * Programs of others that some tests run with: python3, perl, git, gitweb, php, libfcgi and more.
 *
 * Where one is missing the test is skipped by its name; with REQUIRE_PEERS=1 a missing one is a failure,
 * so that a CI machine cannot pass by having nothing installed.
 */
import { execFileSync } from 'node:child_process'
import { accessSync, constants, readdirSync } from 'node:fs'
import { basename, delimiter, join } from 'node:path'
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

/** The program made of a C source and libfcgi in `folder`, or undefined where gcc or libfcgi is missing. */
export function libfcgiProgram(t: Test, source: string, folder: string): string | undefined {
  const gcc = peer(t, 'gcc')
  if (gcc === undefined) return undefined
  const program = join(folder, basename(source, '.c'))
  try {
    execFileSync(gcc, ['-O1', '-o', program, source, '-lfcgi'], { stdio: 'pipe' })
    return program
  } catch (error) {
    // A source that does not compile must not pass for a machine without the library.
    if (!/cannot find -lfcgi|fcgi\w*\.h: No such file/.test(String(error))) throw error
    missing(t, 'libfcgi')
    return undefined
  }
}

/** Absolute path of a perl that has the module, or undefined. */
export function perlWith(t: Test, module: string): string | undefined {
  const perl = peer(t, 'perl')
  if (perl === undefined) return undefined
  try {
    execFileSync(perl, [`-M${module}`, '-e', '1'], { stdio: 'pipe' })
    return perl
  } catch {
    missing(t, module)
    return undefined
  }
}

/** Absolute path of a Python 3 that has the module, or undefined: the first on PATH need not be Debian's. */
export function pythonWith(t: Test, module: string): string | undefined {
  for (const python of [findOnPath('python3'), '/usr/bin/python3']) {
    try {
      if (python === undefined) continue
      execFileSync(python, ['-c', `import ${module}`], { stdio: 'pipe' })
      return python
    } catch {
      // The next one may have it.
    }
  }
  missing(t, `python3 with ${module}`)
  return undefined
}

/** Absolute path of php-fpm, whose name Debian ends with its version, or undefined. */
export function phpFpm(t: Test): string | undefined {
  const folder = '/usr/sbin'
  const names = readdirSync(folder).filter(name => /^php-fpm[\d.]*$/.test(name))
  return peer(
    t,
    'php-fpm',
    names.map(name => join(folder, name)),
  )
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
